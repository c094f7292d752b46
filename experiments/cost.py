"""`python -m experiments.cost --help`; the same as `keras-kd cost`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("cost")
