import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.distillation import compatibility
from tests.support.networks import mlp


def headed(head, shape=(8, 8, 1)):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), head])


def test_a_pair_that_fits_passes():
    compatibility.check_pair(mlp(), headed(layers.Dense(4)))
    compatibility.check_pair(mlp(), keras.Sequential([layers.Flatten(), layers.Dense(4)]))  # not built


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (lambda: headed(layers.Dense(3)), r"same classes.*3 \(teacher\) and 4 \(student\)"),
        (lambda: headed(layers.Dense(4), (8, 9, 1)), r"same inputs.*\(None, 8, 9, 1\)"),
        (lambda: headed(layers.Dense(4), (64,)), r"same inputs"),
        (lambda: headed(layers.Dense(4, "softmax")), "ends in softmax"),
        (lambda: headed(layers.Reshape((8, 8))), r"shape \[batch, classes\].*\(1, 8, 8\)"),
    ],
)
def test_a_pair_that_does_not_fit_is_named(teacher, message):
    with pytest.raises(ValueError, match=message):
        compatibility.check_pair(teacher(), mlp())


def test_an_open_size_fits_any():
    keras.utils.set_random_seed(0)
    open_size = keras.Sequential(
        [keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )
    compatibility.check_pair(open_size, mlp())


@pytest.mark.parametrize("head", [layers.Dense(4, "softmax"), layers.Softmax()])
def test_softmax_is_seen_before_a_sequential_model_is_built(head):
    with pytest.raises(ValueError, match="the teacher .* ends in softmax"):
        compatibility.check_logits(keras.Sequential([layers.Flatten(), head]), "teacher")


def test_a_softmax_inside_is_no_softmax_at_the_end():
    class Gated(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten, self.dense, self.gate = layers.Flatten(), layers.Dense(4), layers.Softmax()

        def call(self, inputs):
            x = self.flatten(inputs)
            return self.dense(x * self.gate(x))

    model = Gated()
    model(np.ones((1, 8, 8, 1), "float32"))
    assert compatibility.check_logits(model, "teacher") == 4


def test_inputs_in_a_structure_are_probed_as_such():
    a, b = keras.Input((3,), name="a"), keras.Input((5,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(4)(layers.Concatenate()([a, b])))
    assert compatibility.check_logits(model, "student") == 4
    assert sorted(compatibility.input_shapes(model)) == [(None, 3), (None, 5)]
