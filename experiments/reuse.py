"""`python -m experiments.reuse --help`; the same as `keras-kd reuse`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("reuse")
