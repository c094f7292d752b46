"""Feature reuse: CKA, branch ratios, effective rank, probes, lesions.

results = reuse.analyze(networks, ...)
"""

from keras_kd.analysis.reuse.analysis import ARRAYS, ReuseConfig, analyze, layers_compared

__all__ = ["ARRAYS", "ReuseConfig", "analyze", "layers_compared"]
