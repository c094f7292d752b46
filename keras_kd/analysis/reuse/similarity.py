"""Similarity of the features of two networks: linear CKA."""

import math

import numpy as np

from keras_kd.analysis.reuse import features


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
    if len(set(counts)) != 1 or min(counts) < features.FEWEST_EXAMPLES:
        raise ValueError(
            f"every layer must bring the same batch of at least {features.FEWEST_EXAMPLES} examples. "
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

    For notebooks: `analyze` adds the same batches for all pairs at once and stores the sums.

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
        features.features(model, names, images, batch_size)
        for model, names in ((model_x, layers_x), (model_y, layers_y))
    )
    for features_x, features_y in zip(*streams, strict=True):
        similarity.update(features_x, features_y)
    return similarity.result()
