"""How the convolutions of a network begin: at random, orthogonal, or near the identity."""

import keras
import numpy as np
from keras import ops

from keras_kd.utils import limits


@keras.saving.register_keras_serializable(package="keras_kd")
class DeltaOrthogonal(keras.initializers.Initializer):
    """A convolution that is an orthogonal matrix at its middle tap and 0 elsewhere: it keeps all norms.

    Args:
      seed: as for Keras's initializers.

    Source: Xiao et al. 2018, arXiv:1806.05393, algorithm 1.
    """

    def __init__(self, seed=None):
        self._orthogonal = keras.initializers.Orthogonal(seed=seed)
        self.seed = seed

    def __call__(self, shape, dtype=None):
        return _at_middle(self._orthogonal(shape[-2:], dtype=dtype), shape)

    def get_config(self):
        return {"seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_kd")
class Dirac(keras.initializers.Initializer):
    """A convolution that hands on its input, plus a little of `he_normal`.

    Channel i goes to channel i; further channels hold the noise alone.

    Args:
      noise: what `he_normal` is multiplied by.
      seed: as for Keras's initializers.

    Source: Zagoruyko & Komodakis 2017, arXiv:1706.00388, equations 2 and 3, as an initial value.
    """

    def __init__(self, noise=0.1, seed=None):
        self._he = keras.initializers.HeNormal(seed=seed)
        self.noise, self.seed = noise, seed

    def __call__(self, shape, dtype=None):
        identity = ops.convert_to_tensor(np.eye(*shape[-2:]), dtype or "float32")
        return _at_middle(identity, shape) + self.noise * self._he(shape, dtype=dtype)

    def get_config(self):
        return {"noise": self.noise, "seed": self.seed}


def _at_middle(matrix, shape):
    """A kernel `[height, width, in, out]` of zeros but for `matrix`, `[in, out]`, at its middle tap."""
    before = [(size - 1) // 2 for size in shape[:2]]
    after = [size - 1 - skipped for size, skipped in zip(shape[:2], before, strict=True)]
    padding = [[first, last] for first, last in zip(before, after, strict=True)]
    return ops.pad(matrix[None, None], [*padding, [0, 0], [0, 0]])


INITIALIZERS = {"he": keras.initializers.HeNormal, "delta_orthogonal": DeltaOrthogonal, "dirac": Dirac}


def make(name):
    """The initializer of a name.

    Raises:
      ValueError: for an unknown name.
    """
    limits.check_choice("initializer", name, INITIALIZERS)
    return INITIALIZERS[name]()
