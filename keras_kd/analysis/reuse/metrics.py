"""What each layer adds and how many directions it uses: branch ratios, effective rank."""

import dataclasses

import keras
import numpy as np

from keras_kd.analysis.reuse import features
from keras_kd.models import graph, inference
from keras_kd.models.blocks import blocks_of, branch_places
from keras_kd.models.graph import deep_graphs
from keras_kd.utils import progress


@dataclasses.dataclass(frozen=True)
class Branch:
    """What a block adds to its input x, mean over images.

    Attributes:
      ratio: of norms, ||F(x)|| / ||x||; NaN if x is 0 for all images.
      cosine: of the angle between F(x) and x, in [-1, 1]; NaN if one of them is 0 for all images.
    """

    ratio: float
    cosine: float


def branch_ratios(model, images, batch_size=256, *, on_progress=progress.no_progress):
    """How much each block changes what it is given, and in which direction.

    With a shortcut, x is the skip and F(x) the branch that the block adds to it. Without, x is the block's
    input and F(x) what it computes before its last ReLU; a plain block that changes the shape has no such
    ratio and is left out. Norms are L2 over all features of an image, and an image for which a quotient is
    0 / 0 or worse is left out of its mean.

    Args:
      model: a network with blocks, see `blocks_of`.
      images: float `[n, height, width, channels]`, normalised.
      batch_size: images at a time, at the most.
      on_progress: is called with the batches done and their number.

    Returns:
      `{block name: Branch}`, in order.

    Raises:
      ValueError: for a model without blocks.

    Source: Jastrzebski et al. 2018, arXiv:1710.04773, section 4.1 (the ratio). Their cosine is between F(x)
    and the gradient of the loss; the one here is between F(x) and x.
    """
    pairs = _skips_and_branches(model)
    if not pairs:
        return {}
    totals = {name: np.zeros((2, 2)) for name in pairs}  # ratio and cosine: sum and count of each
    with deep_graphs():
        forward = inference.compiled(keras.Model(graph.inputs_of(model), pairs))
    for batch in progress.with_progress(features.batches(images, batch_size), on_progress):
        for name, tensors in forward(batch).items():
            for total, values in zip(
                totals[name], _ratio_and_cosine(*map(features.to_host, tensors)), strict=True
            ):
                defined = values[np.isfinite(values)]
                total += defined.sum(), len(defined)
    with np.errstate(invalid="ignore"):
        return {name: Branch(*map(float, totals[name][:, 0] / totals[name][:, 1])) for name in pairs}


def _skips_and_branches(model):
    """`{block name: [x, F(x)]}`, symbolic tensors of one shape."""
    blocks = blocks_of(model)
    if not blocks:
        raise ValueError(
            f"model {model.name!r} has no blocks: none of its layers is named as stage1_block1_conv1. "
            f"Take a network of keras_kd.models, or name your layers like there"
        )
    branches, pairs = branch_places(model), {}
    for block in blocks:
        last = model.get_layer(block.last)
        pair = [model.get_layer(block.first).input, last.input if block.activated else last.output]
        if block.add:
            pair = list(model.get_layer(block.add).input)
            pair = pair[::-1] if branches[block.add] == 0 else pair
        if pair[0].shape == pair[1].shape:
            pairs[block.name] = pair
    return pairs


def _ratio_and_cosine(x, branch):
    """float64 `[2, batch]`; not finite where undefined."""
    x, branch = (np.asarray(values, np.float64).reshape(len(values), -1) for values in (x, branch))
    of_x, of_branch = (np.linalg.norm(values, axis=1) for values in (x, branch))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([of_branch / of_x, np.sum(x * branch, axis=1) / (of_x * of_branch)])


def effective_rank(singular_values):
    """The number of dimensions that a matrix makes use of, a real number.

    Args:
      singular_values: numbers >= 0 `[k]`, in any order and scale.

    Returns:
      exp of the entropy of the singular values divided by their sum: k if they are equal, 1 if one alone
      is not 0, and 0 if all are.

    Raises:
      ValueError: for a value that is negative or not finite.

    Source: Roy & Vetterli 2007, "The effective rank", equations 2 to 4.
    """
    values = np.asarray(singular_values, np.float64).ravel()
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        raise ValueError(
            f"singular values must be finite and >= 0. Received: {values.min(initial=np.inf)} to "
            f"{values.max(initial=-np.inf)}"
        )
    values = values[values > 0]
    if not len(values):
        return 0.0
    shares = values / values.max()
    shares /= shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def spectra(model, images, layer_names, batch_size=256, *, on_progress=progress.no_progress):
    """Singular values of the centred features of layers, over channels.

    Every position of every image is one sample; channels are the last axis.

    Args:
      model: a built functional or sequential `keras.Model`.
      images: float `[n, height, width, channels]`, normalised.
      layer_names: names of layers, see `layers_of`.
      batch_size: images at a time, at the most.
      on_progress: is called with the batches done and their number.

    Returns:
      `{layer name: float64 [channels]}`, falling: square roots of the eigenvalues of the covariance, so the
      standard deviations along the principal axes. What rounding in float64 leaves is 0.

    Raises:
      ValueError: for an unknown layer, or none.
    """
    covariances = {name: _Covariance() for name in layer_names}
    batches = progress.with_progress(features.batches(images, batch_size), on_progress)
    for batch in features.streamed(model, layer_names, batches):
        for name, values in batch.items():
            covariances[name].update(values)
    return {name: covariance.singular_values() for name, covariance in covariances.items()}


class _Covariance:
    """Count, mean and scatter of samples, merged batch by batch (Chan et al. 1983, equation 2.1)."""

    def __init__(self):
        self.count, self.mean, self.scatter = 0, 0.0, 0.0

    def update(self, values):
        x = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        shift = x[0]  # constant features then have no scatter at all
        mean = (x - shift).mean(axis=0) + shift
        x = x - mean
        delta, count = mean - self.mean, self.count + len(x)
        self.scatter = self.scatter + x.T @ x + np.outer(delta, delta) * (self.count * len(x) / count)
        self.mean = self.mean + delta * (len(x) / count)
        self.count = count

    def singular_values(self):
        values = np.linalg.eigvalsh(self.scatter / self.count)[::-1]
        noise = np.abs(values).max() * len(values) * np.finfo(np.float64).eps
        return np.sqrt(np.where(values > noise, values, 0.0))
