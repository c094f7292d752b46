"""The loss around and between networks: directions, surfaces, curvature, barriers.

results = landscape.analyze(networks, ...)
"""

from keras_kd.analysis.landscape.analysis import LandscapeConfig, analyze

__all__ = ["LandscapeConfig", "analyze"]
