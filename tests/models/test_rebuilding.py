"""Networks that are made again compute what the first one does."""

import keras
import numpy as np
import pytest

from keras_kd.analysis.reuse import lesions
from keras_kd.export import signature
from keras_kd.models import rebuilding, weights
from tests.support.networks import adapted, one_block


def assigned(model):
    found = keras.models.clone_model(model)
    weights.copy_weights(model, found)
    return found


@keras.saving.register_keras_serializable(package="test")
class Holding(keras.layers.Layer):
    """Holds layers in an attribute, a list and a dict, as no layer of Keras does."""

    def __init__(self, **options):
        super().__init__(**options)
        self.one = keras.layers.Normalization()
        self.some = [keras.layers.ReLU(), {"another": keras.layers.Normalization()}]

    def get_config(self):
        return {"name": self.name}

    def build(self, shape):
        for layer in self.normalisations():
            layer.build(shape)

    def normalisations(self):
        return self.one, self.some[1]["another"]

    def call(self, inputs):
        first, second = self.normalisations()
        return second(first(inputs))


def test_what_layers_of_ones_own_hold_is_taken_along(rng):
    image = keras.Input((4, 4, 3))
    holding = Holding()
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(holding(image)))
    x = rng.normal(5, 3, (6, 4, 4, 3)).astype("float32")
    for layer in holding.normalisations():
        layer.adapt(x + 7)
    assert not np.allclose(model(x), x.mean(axis=(1, 2)), atol=1)
    again = rebuilt(model)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5)


def constant(*values):
    image = keras.Input((2, 2, 1))
    dense = keras.layers.Dense(len(values), kernel_initializer="zeros")
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(image)))
    dense.bias.assign(values)
    return model


@pytest.mark.parametrize(
    ("found", "expected", "share"),
    [
        ((1.0, -4.0), (2.0, -4.0), 0.25),
        ((0.0, 0.0), (0.0, 0.0), 0.0),
        ((0.5, 0.0), (0.0, 0.0), 0.5),
        ((1.0, -np.inf), (2.0, -np.inf), 0.5),
        ((2.0, np.inf), (2.0, -np.inf), np.inf),
        ((2.0, 1.0), (2.0, -np.inf), np.inf),
        ((np.inf, 1.0), (2.0, 1.0), np.inf),
        ((np.nan, 1.0), (np.nan, 1.0), np.inf),
    ],
)
def test_differences_are_shares_of_the_largest_value(found, expected, share):
    assert rebuilding.largest_difference(constant(*found), constant(*expected)) == pytest.approx(share)


def rebuilt(model):
    return rebuilding.rebuild(model, lambda layer, *args, **kwargs: layer(*args, **kwargs))


def own_loss(labels, logits):
    """Keras does not know it by a name."""
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def listed(model):
    return keras.Sequential([keras.Input((8, 8, 3)), model])


def around(inside):
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.layers.Activation("linear")(inside(image)))


@pytest.mark.parametrize("again", [rebuilt, rebuilding.in_float32, signature.serving_network])
@pytest.mark.parametrize("form", [lambda model: model, listed, around])
def test_a_network_may_be_compiled_with_what_keras_does_not_know(rng, again, form):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = one_block()
        model.compile(loss=own_loss, metrics=[own_loss])
        outer = form(model)
        outer.compile(loss=own_loss, metrics=[own_loss])
        found = again(outer)
    finally:
        keras.config.set_dtype_policy("float32")
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(*(numbers(network(x, training=False)) for network in (found, outer)), atol=0.1)


def numbers(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


@pytest.mark.parametrize(
    "again",
    [rebuilt, rebuilding.in_float32, signature.serving_network, lesions.switchable, assigned],
    ids=["rebuilt", "in float32", "served", "with switches", "assigned"],
)
def test_what_a_normalisation_has_adapted_to_is_taken_along(rng, again):
    """Keras's Normalization computes with copies of its weights, which do not follow them."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = adapted()
    finally:
        keras.config.set_dtype_policy("float32")
    x = rng.normal(5, 3, (6, 8, 8, 3)).astype("float32")
    found, expected = (numbers(network(x, training=False)) for network in (again(model), model))
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())
