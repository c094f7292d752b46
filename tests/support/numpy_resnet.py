"""The networks of `keras_kd.models.resnet` in NumPy float64, by the definitions of their papers.

Weights are read from a Keras network by the names of its layers; what is computed with them is written here.
"""

import numpy as np
from keras import ops


class NumpyResNet:
    """Logits of a network of basic or pre-activation blocks, with gates on its skips and its branches.

    Args:
      network: a `keras.Model`, from whose layers the weights are read.
      stages: how many blocks each stage has.
      gate: what each skip is multiplied by; 0: without shortcuts.
    """

    def __init__(self, network, stages, gate=0.0):
        self._layers = {layer.name: layer for layer in network.layers}
        self._gate = gate
        self._blocks = [
            (f"stage{stage}_block{block}", 2 if stage > 1 and block == 1 else 1)
            for stage, count in enumerate(stages, 1)
            for block in range(1, count + 1)
        ]

    def basic(self, images):
        """He et al. 2016, figure 5 (left), option A of section 4.2; branches join behind each BatchNorm."""
        x = relu(self._norm("stem_bn", self._conv("stem_conv", images)))
        for name, stride in self._blocks:
            branch = relu(
                self._norm(f"{name}_bn1", self._conv(f"{name}_conv1", x, stride))
                + self._beside(name, 1, x, stride)
            )
            branch = self._norm(f"{name}_bn2", self._conv(f"{name}_conv2", branch)) + self._beside(
                name, 2, branch
            )
            x = relu(self._gate * _skip(x, branch, stride) + branch)
        return self._head(x)

    def preactivation(self, images):
        """Zagoruyko & Komodakis 2016, figure 1; branches join behind the BatchNorm of the next unit."""
        x, beside = self._conv("stem_conv", images), 0.0
        for name, stride in self._blocks:
            a = relu(self._norm(f"{name}_bn1", x) + beside)
            h = relu(
                self._norm(f"{name}_bn2", self._conv(f"{name}_conv1", a, stride))
                + self._beside(name, 1, a, stride)
            )
            branch, beside = self._conv(f"{name}_conv2", h), self._beside(name, 2, h)
            x = self._gate * _skip(x, branch, stride) + branch
        return self._head(relu(self._norm("head_bn", x) + beside))

    def _head(self, x):
        return x.mean((1, 2)) @ self._weight("logits", "kernel") + self._weight("logits", "bias")

    def _beside(self, block, number, x, stride=1):
        conv, total = f"{block}_conv{number}", 0.0
        if f"{conv}_identity_bn" in self._layers:
            total = total + self._norm(f"{conv}_identity_bn", x)
        if f"{conv}_pointwise" in self._layers:
            total = total + self._norm(f"{conv}_pointwise_bn", self._conv(f"{conv}_pointwise", x, stride))
        return total

    def _conv(self, name, x, stride=1):
        return convolution(x, self._weight(name, "kernel"), stride)

    def _norm(self, name, x):
        mean, variance, gamma, beta = (
            self._weight(name, part) for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return gamma * (x - mean) / np.sqrt(variance + self._layers[name].epsilon) + beta

    def _weight(self, name, part):
        return ops.convert_to_numpy(getattr(self._layers[name], part)).astype(np.float64)


def relu(x):
    return np.maximum(x, 0.0)


def convolution(x, kernel, stride=1):
    """Of `[n, h, w, c]` with `[k, k, c, d]`, zeros around as "same" has them: one more behind than before."""
    size, count = kernel.shape[0], -(-x.shape[1] // stride)
    around = max((count - 1) * stride + size - x.shape[1], 0)
    sides = (around // 2, around - around // 2)
    x = np.pad(x, ((0, 0), sides, sides, (0, 0)))
    reach = (count - 1) * stride + 1
    return sum(
        x[:, i : i + reach : stride, j : j + reach : stride] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def _skip(x, branch, stride):
    """Every other place, and channels of zeros."""
    missing = branch.shape[-1] - x.shape[-1]
    return np.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, missing)))
