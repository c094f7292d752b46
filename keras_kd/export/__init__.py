"""The student as a file for others: SavedModel, LiteRT, ONNX, each checked by its own runtime.

Also what a network costs: parameters, multiply-adds, memory, latency.
"""

from keras_kd.export.saved_model import export_saved_model

__all__ = ["export_saved_model"]
