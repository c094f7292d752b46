"""See `keras_kd.data.provenance`."""

from keras_kd.data.provenance import load_dataset

__all__ = ["load_dataset"]
