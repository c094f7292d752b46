"""How high the loss lies at points of weight space.

surface = LossSurface(model, images, labels)
values = surface.along(plane)(points)  # loss, accuracy, standard error of the loss

Many points are computed in one compiled call on weights that are passed to it (`stateless_call`): the network
itself never changes.
"""

import contextlib
import functools

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph, outputs, weights
from keras_kd.models.batch_norm import counted_updates, fused_batch_norm
from keras_kd.utils import backend, identity, limits

BATCH_NORM = ("keep", "estimate")

MEASURES = ("loss", "accuracy", "standard_error")


# Points of one compiled call.
CHUNK = 16


# A subset has at least so many examples: of a network that is sure of most of them few already tell the mean
# loss, but not its curvature, which is that of the rest.
FEWEST_EXAMPLES = 512


class LossSurface:
    """A network's mean cross-entropy on fixed examples, as a function of its weights.

    BatchNorm's statistics belong to the weights they were measured with. `batch_norm="keep"` leaves them to
    the point: right near a network, where one asks about the network that would be used (as Li et al. 2018
    do). "estimate" measures them again at each point, by a pass in training mode (with its dropout): right
    between networks and far from them, where kept or mixed statistics do not fit and the loss would say more
    about them than about the weights (Izmailov et al. 2018, arXiv:1803.05407, section 3.3).

    Args:
      model: a built `keras.Model` that returns logits `[batch, classes]`, or their softmax. It is never
        changed.
      images: float `[n, ...]`, as the model takes them.
      labels: int `[n]`.
      batch_norm: "keep" or "estimate".
      batch_size: examples at a time, at the most. Batches are of equal size, so up to `n // batch_size` of
        the last examples are left out; `examples` says how many are used.
      training_images: float `[n, ...]`, with which statistics are estimated; the examples if None. They
        belong to training: give them where the examples are of another split.

    Raises:
      ValueError: for no example, images and labels of different number, or an unknown `batch_norm`.
    """

    def __init__(self, model, images, labels, *, batch_norm="keep", batch_size=256, training_images=None):
        limits.check_choice("batch_norm", batch_norm, BATCH_NORM)
        if not len(labels):
            raise ValueError("the loss needs at least one example. Received: none")
        if len(images) != len(labels):
            raise ValueError(
                f"there must be one label for each image. "
                f"Received: {len(images)} images, {len(labels)} labels"
            )
        self.model = outputs.with_logits(model)
        self.batch_norm = batch_norm
        self.images = _batches(np.asarray(images, np.float32), batch_size)
        self.labels = _batches(np.asarray(labels, np.int32), batch_size)
        self.examples = self.labels.size
        self._training_images = (
            self.images
            if training_images is None
            else _batches(np.asarray(training_images, np.float32), batch_size)
        )
        self._layers = [layer for layer in graph.all_layers(model) if _measures_statistics(layer)]
        self._fixed = {
            variable.path: ops.convert_to_numpy(variable.value)
            for variable in (*model.trainable_variables, *model.non_trainable_variables)
        }
        self._compiled = backend.compile_function(self._at_coordinates)
        self._measure_statistics = backend.compile_function(self._statistics)

    def along(self, subspace):
        """The loss on a line or plane.

        Args:
          subspace: a `directions.Subspace` of points of this model.

        Returns:
          A function from coordinates `[k, axes]` to float64 `[k, 3]`: mean loss in nats, accuracy, standard
          error of the mean loss. What is not finite is NaN.

        Raises:
          ValueError: if the points are not of this model.
        """
        weights.check_same_weights(
            subspace.origin, weights.weights_of(self.model), ("the subspace", self.model.name)
        )
        origin = identity.float32_arrays(subspace.origin)
        axes = [identity.float32_arrays(axis) for axis in subspace.axes]

        def measure(coordinates):
            coordinates = np.asarray(coordinates, np.float32)
            missing = -len(coordinates) % CHUNK  # one shape, so that nothing is compiled twice
            padded = np.concatenate([coordinates, np.repeat(coordinates[-1:], missing, axis=0)])
            parts = [self._measure(part, origin, axes) for part in np.split(padded, len(padded) // CHUNK)]
            return np.concatenate(parts)[: len(coordinates)]

        return measure

    def at(self, weights):
        """Loss, accuracy and standard error at one point, `{path: array}`."""
        coordinates = np.zeros((1, 0), np.float32)
        return self._measure(coordinates, identity.float32_arrays(weights), [])[0]

    def with_statistics(self, point):
        """A point, `{path: array}`, with the statistics of BatchNorm measured again there."""
        found = self._measure_statistics(identity.float32_arrays(point), self._training_images)
        return point | {path: ops.convert_to_numpy(values) for path, values in found.items()}

    def identity(self, subspace):
        """`{name: text}`: what the values at these points, of this network and data, belong to."""
        return {
            "network": weights.structure(self.model),
            "origin": identity.array_digest(subspace.origin),
            "axes": [identity.array_digest(axis) for axis in subspace.axes],
            "examples": identity.array_digest({"images": self.images, "labels": self.labels}),
            "batch_norm": self.batch_norm,
            "statistics": identity.array_digest({"images": self._training_images})
            if self.batch_norm == "estimate"
            else None,
        }

    @functools.cached_property
    def gradient(self):
        """Compiled: `(trainable, rest, images, labels)` to the mean loss of a batch and its gradient."""
        return backend.value_and_gradient(self._batch_loss)

    @functools.cached_property
    def hessian_product(self):
        """Compiled: `(trainable, vector, rest, images, labels)` to the product of that loss's Hessian."""
        return backend.hessian_vector_product(self._batch_loss)

    def _batch_loss(self, trainable, rest, images, labels):
        """`trainable` and `rest` are lists in the order of the model's trainable and other weights."""
        values = [*trainable, *rest]
        variables = [*self.model.trainable_weights, *self.model.non_trainable_weights]
        weights = {variable.path: value for variable, value in zip(variables, values, strict=True)}
        return ops.mean(self._losses(weights, images, labels)[0])

    def _measure(self, coordinates, origin, axes):
        data = (self.images, self.labels, self._training_images)
        per_example = self._compiled(coordinates, origin, axes, *data)
        values, hits = (ops.convert_to_numpy(each).astype(np.float64) for each in per_example)
        with np.errstate(over="ignore", invalid="ignore"):
            spread = values.std(axis=1, ddof=1) if self.examples > 1 else np.full(len(values), np.nan)
            found = np.stack(
                [values.mean(axis=1), hits.mean(axis=1), spread / np.sqrt(self.examples)], axis=1
            )
        return np.where(np.isfinite(found[:, :1]), found, np.nan)

    def _at_coordinates(self, coordinates, origin, axes, images, labels, training_images):
        """Losses and hits, `[points, examples]`, of points one after the other."""

        def one_point(place):
            weights = dict(origin)
            for number, axis in enumerate(axes):
                weights |= {path: weights[path] + place[number] * step for path, step in axis.items()}
            if self.batch_norm == "estimate":
                weights |= self._statistics(weights, training_images)
            found = ops.map(lambda batch: self._losses(weights, *batch), (images, labels))
            return [ops.reshape(each, (-1,)) for each in found]

        with _fused(self.model):
            return ops.map(one_point, coordinates)

    def _losses(self, weights, images, labels):
        logits, _ = self._call(weights, images, training=False)
        hits = ops.cast(ops.argmax(logits, axis=-1), "int32") == labels
        values = keras.losses.sparse_categorical_crossentropy(
            labels, ops.cast(logits, "float32"), from_logits=True
        )
        return values, ops.cast(hits, "float32")

    def _call(self, weights, images, training):
        model = self.model
        trainable, rest = (
            [weights.get(variable.path, self._fixed[variable.path]) for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        return model.stateless_call(trainable, rest, images, training=training)

    def _statistics(self, weights, images):
        """The statistics of BatchNorm over all images at these weights."""
        if not self._layers:
            return {}
        paths = [(layer.moving_mean.path, layer.moving_variance.path) for layer in self._layers]
        start = {path: ops.zeros_like(weights[path]) for pair in paths for path in pair}

        def of_batch(batch):
            with counted_updates(self._layers) as updates:
                _, updated = self._call(weights | start, batch, training=True)
            updated = dict(zip([v.path for v in self.model.non_trainable_variables], updated, strict=True))
            return [
                [_average(updated[path], each, weights[path]) for path in pair]
                for each, pair in zip(updates, paths, strict=True)
            ]

        found = {}
        for (mean_path, variance_path), (means, variances) in zip(
            paths, ops.map(of_batch, images), strict=True
        ):
            mean = ops.mean(means, axis=0)
            found[mean_path] = mean
            found[variance_path] = ops.mean(variances + ops.square(means - mean), axis=0)
        return found


def _average(moved, updates, before):
    """What a moving average has seen that came from 0 to `moved` in some updates; as it was without any."""
    reached = 1.0 - updates.momentum**updates.count  # share of what it has seen, 0 being the rest
    return moved / reached if updates.count else before


def _fused(model):
    """Where TensorFlow traces, BatchNorm is its one operation, which it joins with the convolution before."""
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return fused_batch_norm(model) if on_tensorflow else contextlib.nullcontext()


def _measures_statistics(layer):
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable


def _batches(values, batch_size):
    """Cuts `[n, ...]` into batches of equal size, `[batches, size, ...]`; what fills none is left out."""
    count = -(-len(values) // batch_size)
    return values[: len(values) // count * count].reshape(count, -1, *values.shape[1:])


def examples_needed(values, standard_error):
    """How many examples give the mean loss this standard error, at least `FEWEST_EXAMPLES`, at most all.

    Args:
      values: `[n]` losses of all examples, in nats.
      standard_error: that the mean loss may have, in nats.
    """
    values = np.asarray(values, np.float64)
    if standard_error <= 0:
        raise ValueError(f"standard_error must be > 0. Received: {standard_error}")
    wanted = np.ceil(values.var(ddof=1) / standard_error**2) if len(values) > 1 else 1
    return int(min(len(values), max(FEWEST_EXAMPLES, wanted)))
