"""Whether blocks reuse the features that they are given, in networks with and without shortcuts.

`features` streams the outputs of layers; every measure reads from it, or from such a pass, and keeps sums
only, so memory does not grow with the number of images. Images are float and normalised already, see
`augmentation.normalise`. Any classifier has layers to compare; `branch_ratios` needs the block names of
`resnet`.
"""

import dataclasses
import itertools
import math
import re
import warnings

import keras
import numpy as np
from keras import ops

from keras_kd import augmentation, inference, taps
from keras_kd.resnet import deep_graphs

FEWEST_EXAMPLES = 4  # HSIC_1 divides by n - 3
PROBE_STEPS = 5000

_FIRST_CONV = re.compile(r"stage(\d+)_block(\d+)_conv1")


# --------------------------------------------------------------------------- blocks and layers


@dataclasses.dataclass(frozen=True)
class BlockLayers:
    """Where one block begins and ends, as the names of a network's layers tell it.

    Attributes:
      name: `stage{i}_block{j}`.
      first: the layer whose input is the block's input.
      last: the layer whose output the block hands on.
      add: the layer that adds `[skip, branch]`; None without shortcut.
      activated: whether the block ends in a ReLU, so that what it computes is the input of `last`.
    """

    name: str
    first: str
    last: str
    add: str | None
    activated: bool

    @property
    def stage(self):
        """`stage{i}`."""
        return self.name.partition("_")[0]


def blocks_of(model):
    """The blocks of a network, in order, found from the names of its layers alone.

    Args:
      model: a `keras.Model`, of `resnet` or with layers named like there.

    Returns:
      A tuple of `BlockLayers`; empty if the model has no such layers or no graph.
    """
    if not getattr(model, "inputs", None):
        return ()
    names = {layer.name for layer in model.layers}
    found = sorted(
        (int(match[1]), int(match[2])) for match in map(_FIRST_CONV.fullmatch, names) if match is not None
    )
    return tuple(_block(f"stage{stage}_block{index}", names) for stage, index in found)


def _block(name, names):
    add = f"{name}_add" if f"{name}_add" in names else None
    if f"{name}_out" in names:
        return BlockLayers(name, f"{name}_conv1", f"{name}_out", add, activated=True)
    return BlockLayers(name, f"{name}_bn1", add or f"{name}_conv2", add, activated=False)


def layers_of(model, which="blocks"):
    """Names of layers to compare.

    Args:
      model: a built functional or sequential `keras.Model`.
      which: "blocks" (what the stem and every block hand on), "all" (every layer with one output but
        inputs, models inside the model, and `Flatten`, which holds what the layer before it does), or names
        with commas between them.

    Returns:
      A list of names, in the order of the model or as given.

    Raises:
      ValueError: for "blocks" if the model has no blocks, for a name that it does not have, and for a
        model without a graph.
    """
    taps.tap(model)  # says what is wrong with a model that has no graph
    names = [layer.name for layer in model.layers if _can_be_tapped(layer)]
    if which == "all":
        return [name for name in names if not isinstance(model.get_layer(name), keras.layers.Flatten)]
    if which == "blocks":
        blocks = [block.last for block in blocks_of(model)]
        if not blocks:
            raise ValueError(
                f"model {model.name!r} has no blocks: none of its layers is named as stage1_block1_conv1. "
                f"Received: which='blocks'; take 'all' or names of layers, such as {names[-1]!r}"
            )
        return [name for name in names if name.startswith("stem_")][-1:] + blocks
    chosen = [name.strip() for name in which.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise ValueError(
            f"the layers must be 'blocks', 'all' or names of layers of {model.name!r}. "
            f"Received: {unknown[0] if unknown else which!r}; it has {names}"
        )
    return chosen


def _can_be_tapped(layer):
    return not isinstance(layer, (keras.layers.InputLayer, keras.Model)) and isinstance(
        layer.output, keras.KerasTensor
    )


# --------------------------------------------------------------------------- one pass over the images


def features(model, layer_names, images, batch_size=256, skip=0):
    """Outputs of layers, batch by batch, in inference mode, in one compiled pass.

    Args:
      model: a built functional or sequential `keras.Model` with one output.
      layer_names: names of its layers, at least one; see `layers_of`.
      images: float `[n, height, width, channels]`, normalised.
      batch_size: images at a time, at the most; the batches are of nearly equal size.
      skip: how many of the first batches are left out.

    Returns:
      A generator of `{layer name: float32 array [batch, ...]}`.

    Raises:
      ValueError: at once, without layers or images, or for a layer that the model does not have.
    """
    return _streamed(model, layer_names, parts(images, batch_size)[skip:])


def parts(images, batch_size):
    """Cuts images into batches of nearly equal size, none larger than `batch_size`.

    Raises:
      ValueError: if there are no images, or `batch_size` < 1.
    """
    if len(images) < 1 or batch_size < 1:
        raise ValueError(
            f"there must be at least one image, and one in a batch. "
            f"Received: {len(images)} images, batch_size={batch_size}"
        )
    return np.array_split(ops.convert_to_numpy(images), -(-len(images) // batch_size))


def unwatched(done, total):
    """What is called with the steps done and their number where nobody watches."""


def watched(steps, watch):
    """Hands on the steps, a list, one by one; `watch` is called before the first and after each."""
    watch(0, len(steps))
    for done, step in enumerate(steps, 1):
        yield step
        watch(done, len(steps))


def _streamed(model, layer_names, batches):
    layer_names = list(layer_names)
    if not layer_names:
        raise ValueError(
            f"there must be at least one layer of {model.name!r} to look at. Received: layer_names=[]; "
            f"see keras_kd.reuse.layers_of"
        )
    forward = inference.compiled(taps.tap(model, layer_names))

    def answers(batch):
        outputs = forward(batch)
        return {name: _on_host(outputs[name]) for name in layer_names}

    return map(answers, batches)


def _on_host(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))  # NumPy does not know bfloat16


# --------------------------------------------------------------------------- similarity


class CKA:
    """Linear centred kernel alignment of layers of two networks, from minibatches.

    CKA(X, Y) = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)), each HSIC the mean over the batches of its
    unbiased estimate HSIC_1, so the result does not depend on the size of the batches but for noise. It is 1
    for features equal up to rotation and scale, and near 0, maybe below, for independent ones. What is kept
    are three tables of sums, whatever the number of examples.

    Attributes:
      sums: `{name: array}`, those tables; with their values another `CKA` of the same layers goes on.

    Args:
      names_x: layers of the first network, the rows of the result.
      names_y: layers of the second, its columns.

    Source: Kornblith et al. 2019, arXiv:1905.00414, section 3 (CKA); Nguyen et al. 2021, arXiv:2010.15327,
    equations 2 and 3 (minibatches); Song et al. 2012, JMLR 13, equation 5 (HSIC_1).
    """

    def __init__(self, names_x, names_y):
        self._names_x, self._names_y = tuple(names_x), tuple(names_y)
        sizes = len(self._names_x), len(self._names_y)
        self.sums = {"xy": np.zeros(sizes), "xx": np.zeros(sizes[0]), "yy": np.zeros(sizes[1])}

    def update(self, features_x, features_y):
        """Adds a batch.

        Args:
          features_x, features_y: `{layer name: array [n, ...]}` of the same n >= 4 examples.

        Raises:
          ValueError: for fewer than 4 examples, or arrays that differ in their number.
        """
        given = (features_x, self._names_x), (features_y, self._names_y)
        _examples_of([len(features[name]) for features, names in given for name in names])
        self.add(*(centred_grams(features, names) for features, names in given))

    def add(self, grams_x, grams_y):
        """Adds a batch as what `centred_grams` returns for the layers of each network.

        Raises:
          ValueError: if the two are of different numbers of examples.
        """
        n = _examples_of([math.isqrt(grams.shape[1]) for grams in (grams_x, grams_y)])
        scale = n * (n - 3)
        self.sums["xy"] += grams_x @ grams_y.T / scale
        self.sums["xx"] += np.sum(grams_x * grams_x, axis=1) / scale
        self.sums["yy"] += np.sum(grams_y * grams_y, axis=1) / scale

    def result(self):
        """CKA so far.

        Returns:
          float64 `[len(names_x), len(names_y)]`, at most 1; NaN for a layer whose features are constant.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums["xy"] / np.sqrt(np.outer(self.sums["xx"], self.sums["yy"]))


def _examples_of(counts):
    """The one number of examples that all have, or a ValueError."""
    if len(set(counts)) != 1 or min(counts) < FEWEST_EXAMPLES:
        raise ValueError(
            f"every layer must bring the same batch of at least {FEWEST_EXAMPLES} examples. "
            f"Received: batches of {sorted(set(counts))} examples; take a larger batch_size"
        )
    return counts[0]


def centred_grams(features, layer_names):
    """What CKA needs of a batch: the centred Gram matrix of each layer.

    To compare many networks, compute those of each once and `add` them to the `CKA` of every pair.

    Args:
      features: `{layer name: array [n, ...]}`, n >= 4.
      layer_names: which of them, the order of the result.

    Returns:
      float64 `[len(layer_names), n * n]`, whatever the size of the features.

    Raises:
      ValueError: for fewer than 4 examples, or arrays that differ in their number.
    """
    _examples_of([len(features[name]) for name in layer_names])
    return np.stack([_centred_gram(features[name]) for name in layer_names])


def _centred_gram(values):
    """The Gram matrix of examples with zero diagonal, U-centred, as a vector.

    The inner product of two such vectors is n (n - 3) HSIC_1: the sums over rows and over everything in
    HSIC_1 are those of the centring (Székely & Rizzo 2014, arXiv:1310.2926, equation 2.6).
    """
    n = len(values)
    x = np.asarray(values, np.float64).reshape(n, -1)
    x = x - x[0]  # changes nothing in HSIC_1, makes constant features exactly 0 and saves digits
    gram = x @ x.T
    np.fill_diagonal(gram, 0)
    rows = gram.sum(axis=0) / (n - 2)
    gram += rows.sum() / (n - 1) - rows - rows[:, None]
    np.fill_diagonal(gram, 0)
    return gram.ravel()


def cka(model_x, model_y, images, layers_x, layers_y, batch_size=256):
    """Linear CKA between layers of two networks on the same images.

    Args:
      model_x, model_y: built functional or sequential `keras.Model`s; may be the same.
      images: float `[n, height, width, channels]`, normalised, n >= 4.
      layers_x, layers_y: names of layers, see `layers_of`.
      batch_size: images at a time, at the most; at least 7 is always enough.

    Returns:
      float64 `[len(layers_x), len(layers_y)]`, see `CKA`.

    Raises:
      ValueError: for an unknown layer, none, or batches of fewer than 4 images.
    """
    similarity = CKA(layers_x, layers_y)
    streams = (
        features(model, names, images, batch_size)
        for model, names in ((model_x, layers_x), (model_y, layers_y))
    )
    for features_x, features_y in zip(*streams, strict=True):
        similarity.update(features_x, features_y)
    return similarity.result()


# --------------------------------------------------------------------------- what a block adds


@dataclasses.dataclass(frozen=True)
class Branch:
    """What a block adds to its input x, mean over images.

    Attributes:
      ratio: of norms, ||F(x)|| / ||x||; NaN if x is 0 for all images.
      cosine: of the angle between F(x) and x, in [-1, 1]; NaN if one of them is 0 for all images.
    """

    ratio: float
    cosine: float


def branch_ratios(model, images, batch_size=256, *, watch=unwatched):
    """How much each block changes what it is given, and in which direction.

    With a shortcut, x is the skip and F(x) the branch that the block adds to it. Without, x is the block's
    input and F(x) what it computes before its last ReLU; a plain block that changes the shape has no such
    ratio and is left out. Norms are L2 over all features of an image, and an image for which a quotient is
    0 / 0 or worse is left out of its mean.

    Args:
      model: a network with blocks, see `blocks_of`.
      images: float `[n, height, width, channels]`, normalised.
      batch_size: images at a time, at the most.
      watch: is called with the batches done and their number.

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
        forward = inference.compiled(keras.Model(taps.inputs_of(model), pairs))
    for batch in watched(parts(images, batch_size), watch):
        for name, tensors in forward(batch).items():
            for total, values in zip(totals[name], _ratio_and_cosine(*map(_on_host, tensors)), strict=True):
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
            f"Take a network of keras_kd.resnet, or name your layers like there"
        )
    pairs = {}
    for block in blocks:
        last = model.get_layer(block.last)
        pair = [model.get_layer(block.first).input, last.input if block.activated else last.output]
        if block.add:
            pair = list(model.get_layer(block.add).input)
        if pair[0].shape == pair[1].shape:
            pairs[block.name] = pair
    return pairs


def _ratio_and_cosine(x, branch):
    """float64 `[2, batch]`; not finite where undefined."""
    x, branch = (np.asarray(values, np.float64).reshape(len(values), -1) for values in (x, branch))
    of_x, of_branch = (np.linalg.norm(values, axis=1) for values in (x, branch))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([of_branch / of_x, np.sum(x * branch, axis=1) / (of_x * of_branch)])


# --------------------------------------------------------------------------- dimensions in use


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


def spectra(model, images, layer_names, batch_size=256, *, watch=unwatched):
    """Singular values of the centred features of layers, over channels.

    Every position of every image is one sample; channels are the last axis.

    Args:
      model: a built functional or sequential `keras.Model`.
      images: float `[n, height, width, channels]`, normalised.
      layer_names: names of layers, see `layers_of`.
      batch_size: images at a time, at the most.
      watch: is called with the batches done and their number.

    Returns:
      `{layer name: float64 [channels]}`, falling: square roots of the eigenvalues of the covariance, so the
      standard deviations along the principal axes. What rounding in float64 leaves is 0.

    Raises:
      ValueError: for an unknown layer, or none.
    """
    covariances = {name: _Covariance() for name in layer_names}
    batches = watched(parts(images, batch_size), watch)
    for batch in _streamed(model, layer_names, batches):
        for name, values in batch.items():
            covariances[name].update(values)
    return {name: covariance.singular_values() for name, covariance in covariances.items()}


def effective_ranks(model, images, layer_names, batch_size=256):
    """`{layer name: effective_rank}` of the `spectra` of layers; arguments and errors as there."""
    return {
        name: effective_rank(values)
        for name, values in spectra(model, images, layer_names, batch_size).items()
    }


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


# --------------------------------------------------------------------------- linear probes


def probe_accuracies(model, dataset, layer_names, *, examples=None, seed=0, batch_size=256, watch=unwatched):
    """How well a linear classifier reads the classes from each layer.

    Features are averaged over the image. Each is scaled to variance 1 on the training examples; the
    classifier is scikit-learn's logistic regression with its default L2 penalty (C = 1). The penalty makes
    the optimum unique; should `PROBE_STEPS` steps not reach it, the last step counts, without a warning.

    Args:
      model: a built functional or sequential `keras.Model`.
      dataset: a `keras_kd.datasets.Dataset`; trained on its train, measured on its test split.
      layer_names: names of layers, see `layers_of`.
      examples: how many training examples at the most, drawn at random; None: all.
      seed: of the draw.
      batch_size: images at a time, at the most.
      watch: is called with the steps done and their number: a batch is one, and so is a classifier.

    Returns:
      `{layer name: accuracy in [0, 1]}`.

    Raises:
      ValueError: for an unknown layer or none, or for training examples of a single class.

    Source: Alain & Bengio 2017, arXiv:1610.01644, section 3.
    """
    train = probe_examples(dataset, examples, seed)
    batches = [parts(split.images, batch_size) for split in (train, dataset.test)]
    steps = watched([*batches[0], *batches[1], *layer_names], watch)
    given, asked = (
        _pooled(model, layer_names, itertools.islice(steps, len(of_split)), dataset) for of_split in batches
    )
    return {name: _probe(given[name], train.labels, asked[name], dataset.test.labels) for name in steps}


def probe_examples(dataset, examples=None, seed=0):
    """The training examples of `probe_accuracies`, a `datasets.Split`; arguments as there.

    Raises:
      ValueError: if they are of a single class.
    """
    train = dataset.train
    if examples is not None and examples < len(train.labels):
        index = np.random.default_rng(seed).choice(len(train.labels), examples, replace=False)
        train = train.take(np.sort(index))
    if len(np.unique(train.labels)) < 2:
        raise ValueError(
            f"a probe needs training examples of at least two classes. Received: examples={examples} of "
            f"{dataset.name!r}; take more"
        )
    return train


def _pooled(model, layer_names, batches, dataset):
    """`{layer name: float64 [n, channels]}`, averaged over the axes between."""
    normalised = (augmentation.normalise(batch, dataset.mean, dataset.std) for batch in batches)
    pooled = {name: [] for name in layer_names}
    for batch in _streamed(model, layer_names, normalised):
        for name, values in batch.items():
            axes = tuple(range(1, values.ndim - 1))
            pooled[name].append(values.mean(axis=axes, dtype=np.float64))
    return {name: np.concatenate(means) for name, means in pooled.items()}


def _probe(features, labels, test_features, test_labels):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=PROBE_STEPS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(features, labels)
    return float(probe.score(test_features, test_labels))
