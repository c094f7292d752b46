"""Networks that are made again compute what the first one does."""

import keras
import numpy as np
import pytest

from keras_kd.analysis.reuse import lesions
from keras_kd.export import signature
from keras_kd.models import rebuilding, weights
from tests.support.networks import adapted


def assigned(model):
    found = keras.models.clone_model(model)
    weights.copy_weights(model, found)
    return found


@pytest.mark.parametrize(
    "again",
    [
        lambda model: rebuilding.rebuild(model, lambda layer, *args, **kwargs: layer(*args, **kwargs)),
        rebuilding.in_float32,
        signature.serving_network,
        lesions.switchable,
        assigned,
    ],
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
    found, expected = (
        keras.ops.convert_to_numpy(keras.ops.cast(network(x, training=False), "float32"))
        for network in (again(model), model)
    )
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())
