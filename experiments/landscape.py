"""`python -m experiments.landscape --help`; the same as `keras-kd landscape`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("landscape")
