"""Formats that are tested alike."""

from keras_kd.export import litert, onnx


def written_by(runtime):
    """The function that writes the format of `litert` or `onnx`."""
    return litert.to_litert if runtime is litert else onnx.to_onnx
