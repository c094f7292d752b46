"""`python -m experiments.train --help`; the same as `keras-kd train`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("train")
