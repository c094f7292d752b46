"""`python -m experiments.search --help`; the same as `keras-kd search`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("search")
