"""`python -m experiments.export --help`; the same as `keras-kd export`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("export")
