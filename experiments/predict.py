"""`python -m experiments.predict --help`; the same as `keras-kd predict`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("predict")
