"""See `keras_kd.utils.run_dir`."""

from keras_kd.utils.run_dir import MODEL, NETWORKS, TRAJECTORY

__all__ = ["MODEL", "NETWORKS", "TRAJECTORY"]
