"""How well the classes can be read off each layer: linear probes."""

import itertools
import warnings

import numpy as np

from keras_kd.analysis.reuse import features
from keras_kd.data import augmentation, lazy_images
from keras_kd.utils import progress

PROBE_STEPS = 5000


def probe_accuracies(
    model, dataset, layer_names, *, examples=None, seed=0, batch_size=256, on_progress=progress.no_progress
):
    """How well a linear classifier reads the classes from each layer.

    Features are averaged over the image. Each is scaled to variance 1 on the training examples; the
    classifier is scikit-learn's logistic regression with its default L2 penalty (C = 1). The penalty makes
    the optimum unique; should `PROBE_STEPS` steps not reach it, the last step counts, without a warning.

    Args:
      model: a built functional or sequential `keras.Model`.
      dataset: a `keras_kd.data.Dataset`; trained on its train, measured on its test split.
      layer_names: names of layers, see `layers_of`.
      examples: how many training examples at the most, drawn at random; None: all.
      seed: of the draw.
      batch_size: images at a time, at the most.
      on_progress: is called with the steps done and their number: a batch is one, and so is a classifier.

    Returns:
      `{layer name: accuracy in [0, 1]}`.

    Raises:
      ValueError: for an unknown layer or none, or for training examples of a single class.

    Source: Alain & Bengio 2017, arXiv:1610.01644, section 3.
    """
    train = probe_examples(dataset, examples, seed)
    batches = [
        [(split.images, part) for part in lazy_images.slices(len(split.images), batch_size)]
        for split in (train, dataset.test)
    ]
    steps = progress.with_progress([*batches[0], *batches[1], *layer_names], on_progress)
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
    normalised = (augmentation.normalise(images[part], dataset.mean, dataset.std) for images, part in batches)
    pooled = {name: [] for name in layer_names}
    for batch in features.streamed(model, layer_names, normalised):
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
