"""Two views inside networks: the loss landscape, and feature reuse."""

from keras_kd.analysis import landscape, reuse

__all__ = ["landscape", "reuse"]
