"""The sums of a network, wherever they stand."""

import keras
import pytest
from keras import layers, ops

from keras_kd.models import sums


def inside(x):
    image = keras.Input(x.shape[1:])
    return keras.Model(image, layers.Add(name="inner_add")([image, layers.ReLU()(image)]))(x)


@keras.saving.register_keras_serializable(package="test")
class Holding(layers.Layer):
    """Holds its sum in a list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.parts = [layers.Add(name="held_add")]

    def call(self, x):
        return self.parts[0]([x, x])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: layers.Add(name="sum")([x, layers.ReLU()(x)]), ["sum"]),
        (lambda x: x + layers.ReLU()(x), ["add"]),
        (lambda x: ops.add(x, layers.ReLU()(x)), ["add"]),
        (inside, ["inner_add"]),
        (lambda x: layers.ReLU()(inside(x)), ["inner_add"]),
        (lambda x: Holding()(x), ["held_add"]),
        (lambda x: x + 3.0, []),
        (lambda x: ops.add(x, ops.ones((1, 3))), []),
        (lambda x: layers.Multiply()([x, layers.ReLU()(x)]), []),
    ],
)
def test_sums_of_tensors_are_found(function, expected):
    keras.utils.clear_session()
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, function(image))
    assert [each.name for each in sums.sums_of(model)] == expected
    assert [each.name for each in sums.sums_of(keras.Sequential([image, model]))] == expected
