"""Whether an exported file, run by its own runtime, still is the model that it came from.

found = reference_of(model, dataset, count=300).compare(in_parts(litert.session("student.tflite")))
check(found, "student.tflite", tolerance=1e-3)
"""

import dataclasses
import os
import subprocess
import sys
import tempfile

import numpy as np

from keras_kd.data import lazy_images
from keras_kd.export import signature
from keras_kd.models import inference


@dataclasses.dataclass(frozen=True)
class Parity:
    """How well a file and its model agree.

    Attributes:
      max_logit_difference: the largest difference of two logits, relative to the largest logit where that is
        above 1.
      same_class: share of images of which both say the same class.
      accuracy_change: share of images that the file gets right, minus that of the model: the accuracy itself
        is told of all test images, by the run. None without labels.
      images: how many were compared.
    """

    max_logit_difference: float
    same_class: float
    accuracy_change: float | None
    images: int


class ParityError(ValueError):
    """A file does not compute what its model computes."""


def expected_logits(model, images, dataset=None):
    """The logits of a Keras model in float32: float64 `[n, classes]`; arguments of `signature.serving`."""
    network = signature.serving_network(model, dataset)
    return np.asarray(network(signature.normalised(images, dataset), training=False), np.float64)


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a Keras model says of test images, with which files are compared.

    Attributes:
      images: uint8 `[n, height, width, channels]`.
      labels: as a dataset's.
      logits: float64 `[n, classes]`, see `expected_logits`.
      of: how many test images there are.
    """

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    of: int

    @property
    def is_whole(self):
        """Whether it has all test images."""
        return len(self.labels) == self.of

    @property
    def accuracy(self):
        """Share of its images that the model has right, in [0, 1]."""
        return float(np.mean(inference.right_answers(self.logits, self.labels)))

    def compare(self, session):
        """The `Parity` of a file, by a function from any number of images to logits."""
        return compare(session(self.images), self.logits, self.labels)


def reference_of(model, dataset, count):
    """The `Reference` of a model on `count` test images of a dataset, or all."""
    images, labels = spread(dataset.test, count)
    logits = in_parts(lambda part: expected_logits(model, part, dataset))(images)
    return Reference(images, labels, logits, len(dataset.test.labels))


def in_parts(function):
    """A function of any number of images, from one of up to `lazy_images.at_once`."""

    def whole(images):
        size = lazy_images.at_once(images.shape[1:])
        return np.concatenate([function(part) for part in lazy_images.batches(images, size)])

    return whole


def spread(split, count):
    """`count` images and labels of a `datasets.Split`, or all, evenly over it: it may be sorted by class."""
    index = np.linspace(0, len(split.labels) - 1, min(count, len(split.labels))).astype(int)
    return split.images[index], split.labels[index]


def compare(logits, expected, labels=None):
    """The `Parity` of logits `[n, classes]` with those of the model; `labels` as a dataset's, or None."""
    logits = np.asarray(logits, np.float64)
    scale = max(1.0, np.abs(expected).max())
    multi_label = labels is not None and np.ndim(labels) == 2
    classes, of_model = (inference.answers(np.asarray(each), multi_label) for each in (logits, expected))
    right = None if labels is None else (np.mean(classes == labels), np.mean(of_model == labels))
    return Parity(
        float(np.abs(logits - expected).max() / scale),
        float(np.mean(classes == of_model)),
        right and float(right[0] - right[1]),
        len(classes),
    )


def check(found, what, *, tolerance=None, same_class=None):
    """Raises a ParityError, which names `what`, if a `Parity` is worse than either bound."""
    if tolerance is not None and not found.max_logit_difference <= tolerance:
        raise ParityError(
            f"{what} does not compute what the model does: its logits differ by "
            f"{found.max_logit_difference:.2g} of the largest, {tolerance:g} is allowed"
        )
    if same_class is not None and not found.same_class >= same_class:
        raise ParityError(
            f"{what} does not compute what the model does: it says the same class for "
            f"{found.same_class:.1%} of {found.images} images, {same_class:.1%} is asked for: leave it "
            f"out, or ask for less"
        )


# Run in a process of its own, which has nothing of this package, nor Keras, which TensorFlow else brings.
_SERVE = """
import sys

sys.modules["keras"] = sys.modules["keras_kd"] = None  # whoever imports them fails
import numpy as np
import tensorflow as tf

path, images, logits = sys.argv[1:]
serve = tf.saved_model.load(path).signatures["serving_default"]
found = [serve(image=tf.constant(part))["logits"].numpy() for part in np.load(images)]
np.save(logits, np.stack(found))
"""


def saved_model_session(path, batch=None):
    """A function from uint8 images to logits, float32, by TensorFlow alone in a fresh process.

    Args:
      path: of a SavedModel.
      batch: that it was written for, if not for any.
    """

    def logits(images):
        size = batch or min(lazy_images.at_once(images.shape[1:]), len(images))
        padded = np.concatenate([images, np.repeat(images[-1:], -len(images) % size, axis=0)])
        parts = padded.reshape(-1, size, *images.shape[1:])
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/images.npy", parts)
            arguments = [str(path), f"{folder}/images.npy", f"{folder}/logits.npy"]
            done = subprocess.run(
                [sys.executable, "-P", "-c", _SERVE, *arguments],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},  # this process may hold a GPU's memory
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:] or ["no message"]
                raise ParityError(f"{path} cannot be served by TensorFlow: {last[0]}")
            found = np.load(f"{folder}/logits.npy")
        return found.reshape(-1, found.shape[-1])[: len(images)]

    return logits
