"""See `keras_kd.utils.run_dir`."""

from keras_kd.utils.run_dir import MODEL, TRAJECTORY

__all__ = ["MODEL", "TRAJECTORY"]
