"""`python -m experiments.distill --help`; the same as `keras-kd distill`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("distill")
