"""`python -m experiments.demo --help`; the same as `keras-kd demo`."""

from keras_kd.cli import main

if __name__ == "__main__":
    main.run("demo")
