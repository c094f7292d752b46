"""Training on one device, many or several hosts: `Settings`, `train`, `distill`, `evaluate`.

settings = keras_kd.training.Settings(epochs=30)
keras_kd.training.train(model, dataset, settings)
"""

from keras_kd.training.comparison import Comparison, Effects, NetworkResult, compare
from keras_kd.training.config import Settings
from keras_kd.training.evaluation import evaluate
from keras_kd.training.trainer import Trained, distill, train

__all__ = [
    "Comparison",
    "Effects",
    "NetworkResult",
    "Settings",
    "Trained",
    "compare",
    "distill",
    "evaluate",
    "train",
]
