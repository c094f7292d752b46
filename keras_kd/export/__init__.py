"""The student as a file for others: SavedModel, LiteRT, ONNX, each checked by its own runtime.

    keras_kd.export.to_litert(model, "model.tflite", dataset=dataset, kind="full_integer")
    predictor = keras_kd.export.open_predictor("model.tflite")

Also what a network costs: parameters, multiply-adds, memory, latency.
"""

from keras_kd.utils import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "export_saved_model": "saved_model",
        "open_predictor": "prediction",
        "to_litert": "litert",
        "to_onnx": "onnx",
        "to_saved_model": "saved_model",
    },
)
