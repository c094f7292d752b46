import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd.distillation import compatibility
from keras_kd.models import outputs
from tests.support.networks import mlp, sparse_ce


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
        (lambda: headed(layers.Dense(4, "sigmoid")), "ends in sigmoid"),
        (lambda: headed(layers.Reshape((8, 8))), r"shape \[batch, classes\].*\(None, 8, 8\)"),
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
        compatibility.check_classes(keras.Sequential([layers.Flatten(), head]), "teacher")


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
    assert compatibility.check_classes(model, "teacher") == 4


def test_inputs_in_a_structure_are_probed_as_such():
    a, b = keras.Input((3,), name="a"), keras.Input((5,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(4)(layers.Concatenate()([a, b])))
    assert compatibility.check_classes(model, "student") == 4
    assert sorted(outputs.input_shapes(model)) == [(None, 3), (None, 5)]


# --------------------------------------------------------------------------- weights of their own


def test_a_network_is_not_its_own_teacher():
    model = mlp(name="mine")
    with pytest.raises(ValueError, match=r"share weights.*dense.*'mine' \(teacher\) and 'mine' \(student\)"):
        compatibility.check_pair(model, model)


def test_one_layer_in_common_is_named():
    image = keras.Input((8, 8, 1))
    common = layers.Dense(4, name="body")
    features = common(layers.Flatten()(image))
    teacher, student = (keras.Model(image, layers.Dense(3, name=name)(features)) for name in "ab")
    with pytest.raises(ValueError, match="the same weights in body of"):
        keras_kd.Distiller(teacher, student)


def test_statistics_of_batch_norm_in_common_are_seen_too():
    image = keras.Input((8, 8, 1))
    norm = layers.BatchNormalization(center=False, scale=False, name="statistics")
    teacher, student = (keras.Model(image, layers.Dense(3)(layers.Flatten()(norm(image)))) for _ in range(2))
    with pytest.raises(ValueError, match="the same weights in statistics of"):
        compatibility.check_pair(teacher, student)


def test_subclassed_networks_in_common_are_seen_when_they_are_built():
    class Headed(keras.Model):
        def __init__(self, body):
            super().__init__()
            self.body, self.flatten, self.head = body, layers.Flatten(), layers.Dense(3)

        def call(self, inputs):
            return self.head(self.body(self.flatten(inputs)))

    body = layers.Dense(5, name="inner")
    distiller = keras_kd.Distiller(Headed(body), Headed(body))
    distiller.compile("sgd", sparse_ce())
    with pytest.raises(ValueError, match="share weights.*inner"):
        distiller.fit(np.ones((4, 8, 8, 1), "float32"), np.zeros(4, int), verbose=0)


def test_a_copy_is_no_sharing():
    teacher = mlp()
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    compatibility.check_pair(teacher, student)


def test_networks_that_were_called_on_batches_of_other_sizes_fit():
    networks = [keras.Sequential([layers.Dense(4), layers.Dense(3)]) for _ in range(3)]
    for rows, network in zip((20, 10, 5), networks, strict=True):
        network(np.zeros((rows, 8), "float32"))
    compatibility.check_pair(*networks[:2])
    assert keras_kd.Distiller(networks[:2], networks[2]).teacher(np.zeros((7, 8))).shape == (7, 3)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((None, 1), layers.Conv1D), ((None, None, 3), layers.Conv2D)],
    ids=["sound", "images"],
)
def test_networks_of_open_size_that_need_large_inputs_fit(shape, layer):
    x = inputs = keras.Input(shape)
    for _ in range(4):
        x = layer(2, 4, strides=3)(x)
    axes = tuple(range(1, len(shape)))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(keras.ops.mean(x, axis=axes)))
    compatibility.check_pair(model, keras.models.clone_model(model))
    assert outputs.with_logits(model).layers[-1].name.endswith("_without_activation")
