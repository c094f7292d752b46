"""`python -m experiments.study --help`; the same as `keras-kd study`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("study")
