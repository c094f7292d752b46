"""The loss around and between networks: directions, surfaces, curvature, barriers.

result = landscape.analyze(networks, images, labels, LandscapeConfig(), folder)
"""

from keras_kd.analysis.landscape import directions
from keras_kd.analysis.landscape.analysis import LandscapeConfig, analyze
from keras_kd.analysis.landscape.results import LandscapeResult
from keras_kd.analysis.landscape.surface import LossSurface

__all__ = ["LandscapeConfig", "LandscapeResult", "LossSurface", "analyze", "directions"]
