"""What `fit` and `evaluate` refuse before a step, in one line of our own, and what they go on taking."""

import keras
import numpy as np
import pytest

from keras_kd.distillation import arrays
from tests.support.distillers import compiled, evaluated, fitted
from tests.support.networks import mlp, sparse_ce

BINARY = keras.losses.BinaryCrossentropy(from_logits=True)
CATEGORICAL = keras.losses.CategoricalCrossentropy(from_logits=True)


@pytest.fixture
def distiller():
    return compiled(mlp(), mlp())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :7], y), r"take inputs of shape \(None, 8, 8, 1\).*shape \(48, 7, 8, 1\)"),
        (lambda x, y: (x.reshape(48, 1, 8, 8), y), r"Received: inputs of shape \(48, 1, 8, 8\)"),
        (lambda x, y: (x.astype("U"), y), "inputs must be numbers. Received: an array of dtype <U"),
        (lambda x, y: (x, y + 2), "class numbers from 0 to 3. Received: labels from 2 to 5"),
        (lambda x, y: (x, y - 1), "class numbers from 0 to 3. Received: labels from -1 to 2"),
        (lambda x, y: (x, y.astype("U1")), "class numbers. Received: an array of dtype <U1"),
        (lambda x, y: (x, y + 0.5), r"class numbers. Received: \d.5"),
        (lambda x, y: (x, np.eye(4)[y]), r"argmax\(axis=-1\).*Received: labels of shape \(48, 4\)"),
        (lambda x, y: (x, y[:40]), "each input needs a label. Received: 48 inputs and 40 labels"),
        (lambda x, y: (x, None), "the labels are missing"),
        (lambda x, y: (x, y.tolist()), r"y must be an array, as numpy.asarray makes.*Received: \[\d"),
        (lambda x, y: (x.tolist(), y), r"x must be an array.*Received: \[\[\["),
        (lambda x, y: (x, np.where(y == 1, np.nan, y)), "class numbers. Received: nan"),
        (lambda x, y: (x, np.where(y == 1, np.inf, y)), "from 0 to 3. Received: labels from 0.0 to inf"),
        (lambda x, y: (x, y.astype(complex)), "class numbers. Received: an array of dtype complex128"),
        (lambda x, y: (x.astype("M8[s]"), y), "inputs must be numbers. Received: an array of dtype datetime"),
        (lambda x, y: (x, {"labels": y + 9, "teacher_logits": np.eye(4)[y]}), "labels from 9 to 12"),
    ],
)
def test_arrays_that_do_not_fit_are_named(distiller, data, change, message):
    x, y = change(*data)
    for ask in (distiller.fit, distiller.evaluate):
        with pytest.raises(ValueError, match=message) as caught:
            ask(x, y, verbose=0)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match=message):
        distiller.fit(*data, validation_data=(x, y), verbose=0)


@pytest.mark.parametrize("labels", [lambda y: y, lambda y: np.eye(3)[y % 3]])
def test_columns_that_do_not_fit_are_named(data, labels):
    with pytest.raises(ValueError, match="a column for each of 4 classes.*Received: labels of shape"):
        fitted(compiled(mlp(), mlp(), CATEGORICAL), data[0], labels(data[1]))


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        (CATEGORICAL, lambda y: 7.0 * np.eye(4)[y], r"must lie in \[0, 1\]. Received: 7"),
        (CATEGORICAL, lambda y: np.eye(4)[y] * np.nan, r"must lie in \[0, 1\]. Received: nan"),
        (BINARY, lambda y: -np.eye(4)[y], r"must lie in \[0, 1\]. Received: -1"),
        (BINARY, lambda y: y, r"a yes or no for each of 4 outputs.*Received: labels of shape \(48,\)"),
        (BINARY, lambda y: np.eye(3)[y % 3], r"for each of 4 outputs.*labels of shape \(48, 3\)"),
    ],
)
def test_labels_that_are_no_shares_are_named(data, loss, labels, message):
    with pytest.raises(ValueError, match=message):
        compiled(mlp(), mlp(), loss).fit(data[0], labels(data[1]), verbose=0)


def test_what_keras_takes_is_taken(distiller, data):
    """Labels as a column, as floats, with some ignored; images without their last size of 1; tensors."""
    x, y = data
    expected = evaluated(distiller, x, y)
    tensors = keras.ops.convert_to_tensor(x[..., 0]), keras.ops.convert_to_tensor(y.astype("float32"))
    for given in ((x, y[:, None]), tensors):
        assert evaluated(compiled(mlp(), mlp()), *given) == pytest.approx(expected, rel=1e-5)
    ignoring = compiled(mlp(), mlp(), sparse_ce(ignore_class=-1))
    assert np.isfinite(evaluated(ignoring, x, np.where(y == 0, -1, y))["loss"])


def test_a_loss_of_ones_own_decides_what_its_labels_are(data):
    x, y = data

    def squared(labels, logits):
        return keras.ops.mean((labels - logits) ** 2, axis=-1)

    assert np.isfinite(evaluated(compiled(mlp(), mlp(), squared), x, np.eye(4)[y] * 7)["loss"])


def test_a_network_without_a_graph_takes_images_of_other_sizes_than_it_was_first_called_on():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.pool, self.dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)

        def call(self, x):
            return self.dense(self.pool(x))

    network = Subclassed()
    network(np.zeros((2, 8, 8, 1)))
    arrays.check_inputs(network, np.zeros((3, 12, 12, 1)))
    with pytest.raises(
        ValueError, match=r"inputs of shape \(None, None, None, 1\). Received: .*\(3, 8, 8, 3\)"
    ):
        arrays.check_inputs(network, np.zeros((3, 8, 8, 3)))


def test_what_has_a_shape_and_no_dtype_is_taken(distiller, data):
    """As a table of pandas."""

    class Table:
        shape = data[0].shape

    arrays.check_inputs(distiller.student, Table())
