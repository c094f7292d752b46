import functools

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import special

from keras_kd.distillation import arrays, compatibility
from keras_kd.models import logits_of, outputs
from tests.support.networks import mlp


def answers(network, rng):
    return ops.convert_to_numpy(network(rng.normal(size=(6, 8, 8, 1)).astype("float32"), training=False))


def flat(*heads):
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *heads])


def functional(head):
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, head(layers.Flatten()(inputs)))


def around(inside):
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, layers.Dropout(0.5)(inside(layers.Rescaling(2.0)(inputs))))


@keras.saving.register_keras_serializable(package="tests")
class OwnDense(layers.Dense):
    """A layer whose class says nothing of what it computes."""


ENDS = {
    "dense": lambda end: flat(layers.Dense(4, end)),
    "functional": lambda end: functional(layers.Dense(4, end)),
    "activation layer": lambda end: flat(layers.Dense(4), layers.Activation(end, dtype="float32")),
    "own layer": lambda end: flat(OwnDense(4, end)),
    "operation": lambda end: functional(lambda x: getattr(ops, end)(layers.Dense(4)(x))),
    "convolution": lambda end: keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 8, activation=end), layers.Flatten(), layers.Dropout(0.5)]
    ),
    "functional inside": lambda end: keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(2.0), functional(layers.Dense(4, end))]
    ),
    "functional in functional": lambda end: around(functional(layers.Dense(4, end))),
    "model inside": lambda end: keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(2.0), flat(layers.Dense(4, end))]
    ),
}


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
@pytest.mark.parametrize("form", ENDS)
def test_the_logits_of_probabilities_are_taken_in_any_form(form, end, rng):
    network = ENDS[form](end)
    logits = outputs.with_logits(network, independent=True)
    assert outputs.ends_in(network) == end
    assert outputs.ends_in(logits) == "linear"
    returned = (special.softmax if end == "softmax" else special.expit)(
        answers(logits, np.random.default_rng(1)).astype(np.float64),
        **({"axis": 1} if end == "softmax" else {}),
    )
    np.testing.assert_allclose(answers(network, np.random.default_rng(1)), returned, atol=1e-6)
    assert all(one is other for one, other in zip(network.weights, logits.weights, strict=True))


@pytest.mark.parametrize(
    ("end", "activation"),
    [
        (layers.Softmax(), "softmax"),
        (functools.partial(keras.activations.softmax, axis=-1), "softmax"),
        (layers.LeakyReLU(), "linear"),
        (functools.partial(keras.activations.leaky_relu, negative_slope=0.1), "linear"),
    ],
)
def test_an_activation_may_be_a_layer_or_a_part_of_a_function(end, activation):
    network = flat(layers.Dense(4, activation=end))
    before = answers(network, np.random.default_rng(1))
    logits = answers(outputs.with_logits(network), np.random.default_rng(1))
    returned = special.softmax(logits, axis=1) if activation == "softmax" else logits
    np.testing.assert_allclose(returned, before, atol=1e-6)
    np.testing.assert_array_equal(answers(network, np.random.default_rng(1)), before)


@pytest.mark.parametrize("end", [None, "relu", "tanh", "log_softmax"])
def test_logits_are_taken_as_they_are(end):
    network = flat(layers.Dense(4, end))
    assert outputs.with_logits(network) is network


def test_a_layer_of_softmax(rng):
    network = flat(layers.Dense(4), layers.Softmax())
    scores = answers(outputs.with_logits(network), np.random.default_rng(1))
    np.testing.assert_allclose(
        special.softmax(scores, axis=1), answers(network, np.random.default_rng(1)), atol=1e-6
    )


def test_without_its_activation_a_network_is_saved_and_read(tmp_path):
    network = outputs.with_logits(flat(layers.Dense(4, "softmax")))
    network.save(tmp_path / "logits.keras")
    read = keras.saving.load_model(tmp_path / "logits.keras")
    np.testing.assert_array_equal(*(answers(each, np.random.default_rng(1)) for each in (network, read)))


class Probabilities(keras.Model):
    def __init__(self):
        super().__init__()
        self.network = mlp()

    def call(self, inputs):
        return ops.softmax(self.network(inputs))


def probabilities_of_a_subclass():
    network = Probabilities()
    network(np.ones((1, 8, 8, 1), "float32"))
    return network


def shares(x):
    x = layers.Dense(4, "softplus")(x)
    return x / ops.sum(x, axis=-1, keepdims=True)


def tempered(x):
    return ops.softmax(x / 2)


def odds(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize(
    ("build", "logit"),
    [
        (probabilities_of_a_subclass, np.log),
        (lambda: flat(layers.Dense(4, tempered)), np.log),
        (lambda: flat(layers.Dense(4), layers.Softmax(), layers.Rescaling(1.0)), np.log),
        (lambda: around(flat(layers.Dense(4, tempered))), np.log),
        (lambda: functional(shares), np.log),
        (lambda: functional(lambda x: ops.clip(ops.softmax(layers.Dense(4)(x)), 1e-7, 1)), np.log),
        (lambda: flat(layers.Dense(4, "hard_sigmoid", kernel_initializer="zeros")), odds),
    ],
)
def test_else_the_logarithms_of_the_probabilities_are_the_logits(build, logit):
    network = build()
    logits = logits_of(network)
    returned, found = (answers(each, np.random.default_rng(1)) for each in (network, logits))
    np.testing.assert_allclose(found, logit(returned.astype(np.float64)), rtol=1e-5)
    assert outputs.ends_in(logits) == "linear"
    assert all(one is other for one, other in zip(network.weights, logits.weights, strict=True))


@pytest.mark.parametrize(("end", "low", "high"), [("softmax", -88, 0), ("sigmoid", -17, 17)])
def test_probabilities_of_0_and_1_have_finite_logits(end, low, high):
    scores = layers.Dense(2, end, bias_initializer=lambda shape, dtype: np.array([99, -999.0]))
    network = logits_of(flat(scores, layers.Rescaling(1.0)))
    found = ops.convert_to_numpy(network(np.zeros((1, 8, 8, 1), "float32")))[0]
    np.testing.assert_allclose(found, [high, low], atol=1)


def test_such_a_network_is_saved_and_read(tmp_path):
    network = logits_of(flat(layers.Dense(4), layers.Softmax(), layers.Rescaling(1.0)))
    network.save(tmp_path / "logits.keras")
    read = keras.saving.load_model(tmp_path / "logits.keras")
    np.testing.assert_array_equal(*(answers(each, np.random.default_rng(1)) for each in (network, read)))


def of_places():
    """Softmax over two channels in each of four places, flattened to eight scores."""
    conv = layers.Conv2D(2, 4, strides=4, activation="softmax")
    return keras.Sequential([keras.Input((8, 8, 1)), conv, layers.Flatten()])


def in_a_dict():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, {"p": layers.Dense(4, "softmax")(layers.Flatten()(inputs))})


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: logits_of(keras.Sequential([layers.Flatten(), layers.Dense(4, "softmax")])), "build it"),
        (lambda: outputs.with_logits(flat(layers.Dense(4, "sigmoid"))), "ends in sigmoid.*of their own"),
        (lambda: logits_of(of_places()), "does not sum to 1: take softmax over the classes.* a sum of 4$"),
        (lambda: logits_of(in_a_dict()), r"must have one output.*Received: \{'p': \(None, 4\)\}"),
        (lambda: logits_of("a.keras"), "must be a keras.Model, read from its file by.*'a.keras'"),
    ],
)
def test_what_has_no_logits_is_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


@pytest.mark.parametrize(
    "head",
    [
        [layers.Dense(4, "relu", kernel_initializer="zeros"), layers.Rescaling(1.0)],  # all scores 0
        [
            layers.Dense(4, "relu", kernel_initializer=keras.initializers.RandomNormal(0, 1e-3)),
            layers.Rescaling(1.0),
        ],
    ],
)
def test_small_scores_are_no_probabilities(head):
    network = flat(*head)
    assert outputs.with_logits(network) is network


def test_networks_of_indices_are_not_asked_about_noise():
    inputs = keras.Input((), dtype="int32")
    rows = layers.Embedding(3, 4)(inputs)
    network = keras.Model(inputs, layers.Rescaling(1.0)(rows))
    assert outputs.with_logits(network) is network


def test_a_subclassed_network_of_indices_is_not_asked_about_noise():
    class OfTokens(keras.Model):
        def __init__(self):
            super().__init__()
            self.rows, self.dense = layers.Embedding(20, 4), layers.Dense(4)

        def call(self, tokens):
            return self.dense(keras.ops.mean(self.rows(tokens), axis=1))

    network = OfTokens()
    network(np.zeros((2, 5), "int32"))
    assert outputs.with_logits(network) is network


def test_a_network_without_a_graph_that_was_built_for_open_sizes_has_logits():
    class OfAnySize(keras.Model):
        def __init__(self):
            super().__init__()
            self.pool, self.dense = layers.GlobalAveragePooling2D(), layers.Dense(4)

        def build(self, shape):
            self.pool.build(shape)
            self.dense.build((None, shape[-1]))
            super().build(shape)

        def call(self, x):
            return self.dense(self.pool(x))

    network = OfAnySize()
    network.build((None, None, None, 3))
    assert outputs.with_logits(network) is network
    assert compatibility.check_classes(network, "teacher") == 4


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="layers of text are TensorFlow's")
@pytest.mark.parametrize("end", [None, "softmax"])
def test_networks_of_text_have_logits(end):
    inputs = keras.Input((1,), dtype="string")
    numbers = layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])(inputs)
    x = layers.Flatten()(layers.Embedding(5, 3)(numbers))
    network = keras.Model(inputs, layers.Dense(4, end)(x))
    logits = outputs.with_logits(network)
    assert (logits is network) == (end is None)
    assert compatibility.check_classes(network, "teacher") == 4
    arrays.check_inputs(network, np.array([["a"], ["b b"]]))


def test_what_is_not_known_yet_is_returned():
    network = Probabilities()
    assert outputs.ends_in(network) is None
    assert outputs.with_logits(network) is network
