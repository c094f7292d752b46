"""Feature reuse: CKA, branch ratios, effective rank, probes, lesions.

result = reuse.analyze(networks, dataset, images, labels, ReuseConfig())
"""

from keras_kd.analysis.reuse import similarity
from keras_kd.analysis.reuse.analysis import ARRAYS, ReuseConfig, analyze, layers_compared
from keras_kd.analysis.reuse.lesions import LesionedModel
from keras_kd.analysis.reuse.results import ReuseResult

__all__ = [
    "ARRAYS",
    "LesionedModel",
    "ReuseConfig",
    "ReuseResult",
    "analyze",
    "layers_compared",
    "similarity",
]
