"""Training on one device, many or several hosts: `Settings`, `train`, `distill`, `evaluate`, `compare`.

settings = keras_kd.training.Settings(epochs=30)
keras_kd.training.train(model, dataset, settings)
"""

from keras_kd.utils import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "Comparison": "comparison",
        "Effects": "comparison",
        "NetworkResult": "comparison",
        "Settings": "config",
        "Trained": "trainer",
        "adapt_teacher": "teacher_preprocessing",
        "compare": "comparison",
        "distill": "trainer",
        "evaluate": "evaluation",
        "fine_tune": "transfer",
        "train": "trainer",
    },
)
