import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd.models import folding, graph, serialization
from tests.support.networks import adapted, same, weights_of


def unsettled(model, rng):
    """Statistics and scales that a training might leave."""
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean", "bias")):
            weight.assign(rng.normal(size=weight.shape))
    return model


def norms(model):
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def check(model, rng):
    """Returns the folded network after comparing it."""
    unsettled(model, rng)
    before = weights_of(model)
    x = rng.normal(size=(6, *model.input_shape[1:])).astype("float32")
    folded = folding.fold_batch_norm(model)
    expected, found = (keras.ops.convert_to_numpy(m(x, training=False)) for m in (model, folded))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert same(before, weights_of(model))
    names = [layer.name for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    assert [layer.name for layer in folded.layers if layer.name in names] == names
    return folded


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("projection", ["pad", "conv"])
def test_a_resnet_folds_whole(rng, shortcuts, projection):
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=shortcuts, projection=projection)
    assert norms(check(model, rng)) == []


def test_a_plain_network_becomes_convolutions_biases_and_relu(rng):
    folded = check(keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=False), rng)
    with_weights = [layer for layer in folded.layers if layer.weights]
    assert {type(layer) for layer in with_weights} == {layers.Conv2D, layers.Dense}
    assert all(layer.use_bias for layer in with_weights)


@pytest.mark.parametrize("policy", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_a_folded_network_can_be_saved(rng, tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)
    finally:
        keras.config.set_dtype_policy("float32")
    folded = folding.fold_batch_norm(unsettled(model, rng))
    serialization.save_model(folded, tmp_path / "folded.keras")
    again = serialization.load_model(tmp_path / "folded.keras")
    x = rng.normal(size=(3, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(again(x), folded(x))


def test_what_stands_behind_a_sum_stays(rng):
    model = keras_kd.wide_resnet(10, 1, (8, 8, 3), 4)
    folded = check(model, rng)
    assert {layer.name for layer in norms(folded)} == {
        *(f"stage{stage}_block1_bn1" for stage in (1, 2, 3)),
        "head_bn",
    }


@pytest.mark.parametrize(
    "before",
    [
        lambda: [layers.Conv2D(5, 3, strides=2)],
        lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)],
        lambda: [layers.Flatten(), layers.Dense(7)],
    ],
)
def test_layers_with_channels_last_fold(rng, before):
    after = [layers.BatchNormalization(scale=False), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *before(), *after])
    assert norms(check(model, rng)) == []


def test_what_others_see_too_stays(rng):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="seen")(image)
    y = layers.BatchNormalization(name="a")(x)
    active = layers.BatchNormalization(name="b")(layers.Conv2D(4, 3, activation="relu")(image))
    shared = layers.Conv2D(4, 3)
    twice = layers.Add()([layers.BatchNormalization(name="c")(shared(image)), shared(image)])
    model = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Add()([x, y, active, twice])))
    assert {layer.name for layer in norms(check(model, rng))} == {"a", "b", "c"}


def test_layers_that_are_asked_for_stay_what_they_are(rng):
    model = unsettled(keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4), rng)
    keep = ["stage2_block1_conv1", "stage1_block1_bn2", "stage3_block1_out"]
    folded = folding.fold_batch_norm(model, keep=keep)
    assert [norm.name for norm in norms(folded)] == ["stage2_block1_bn1"]
    x = rng.normal(size=(6, 8, 8, 3)).astype("float32")
    expected, found = (graph.feature_extractor(each, keep)(x) for each in (model, folded))
    for name in keep:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5 * np.abs(expected[name]).max())


@pytest.mark.parametrize("steep", [False, True])
def test_a_network_that_normalises_by_itself_folds_around_the_layers_that_are_asked(rng, steep):
    """Behind a steep softmax all answers look alike: what the layers compute says whether they are."""
    model = adapted()
    if steep:
        model = keras.Model(model.input, layers.Softmax()(layers.Rescaling(100.0)(model.output)))
    keep = ["stage1_block1_out", "stem_conv"]
    folded = folding.fold_batch_norm(model, keep=keep)
    assert [norm.name for norm in norms(folded)] == ["stem_bn"]
    x = rng.normal(5, 3, (6, 8, 8, 3)).astype("float32")
    expected, found = (graph.feature_extractor(each, keep)(x) for each in (model, folded))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5 * np.abs(expected[name]).max())


def test_a_network_whose_asked_layer_is_not_on_the_way_to_its_output_is_returned(rng):
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    layers.Dense(2, name="aside")(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    assert norms(folding.fold_batch_norm(model)) == []
    assert folding.fold_batch_norm(model, keep=["aside"]) is model


def test_what_a_layer_learnt_elsewhere_stays(rng):
    adapted = layers.Normalization()
    adapted.adapt(rng.normal(5, 3, (50, 8, 8, 3)).astype("float32"))
    plain = [
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ]
    assert norms(check(keras.Sequential([keras.Input((8, 8, 3)), adapted, *plain]), rng)) == []


class Doubled(layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


class Unnamed(layers.Layer):
    """Cannot say how it was made."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs


class Remembering(layers.Layer):
    """Computes with what no weight and no setting says."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * inputs


def remembering(before, after):
    """A network whose copy lacks a factor of 3, and which has an asked layer after other ones."""
    image, last = keras.Input((8, 8, 3)), Remembering()
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    for layer in before(last):
        x = layer(x)
    model = keras.Model(image, after(layers.ReLU(name="asked")(x), last))
    last.factor = 3.0
    return model


def steep_softmax(x):
    return layers.Softmax()(layers.Rescaling(1e4)(layers.GlobalAveragePooling2D()(x)))


def test_copies_that_differ_at_an_asked_layer_alone_are_not_taken():
    """What is behind it does not depend on the scale of what it computes."""
    model = remembering(lambda last: [last], lambda x, _: layers.UnitNormalization()(layers.Flatten()(x)))
    assert folding.fold_batch_norm(model, keep=["asked"]) is model


def test_copies_that_differ_in_logits_alone_are_not_taken():
    """Behind softmax all of them look alike."""
    model = remembering(lambda last: [], lambda x, last: steep_softmax(last(x)))
    assert folding.fold_batch_norm(model, keep=["asked"]) is model


def test_copies_that_differ_beside_an_infinite_logit_are_not_taken():
    """An infinite value is no scale for what rounding may do."""
    minus_infinity = layers.Dense(
        2, kernel_initializer="zeros", bias_initializer=lambda *_, **__: [0.0, -np.inf]
    )

    def after(x, last):
        x = layers.GlobalAveragePooling2D()(last(x))
        return layers.Concatenate()([x, minus_infinity(x)])

    model = remembering(lambda last: [], after)
    assert folding.fold_batch_norm(model, keep=["asked"]) is model


class Forgetful(layers.Layer):
    """Does not find in its settings what it is made of."""

    def call(self, inputs):
        return inputs

    @classmethod
    def from_config(cls, config):
        return cls(config["factor"])


def test_a_network_of_layers_that_cannot_be_made_again_is_returned_where_layers_are_asked():
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    x = layers.ReLU(name="asked")(Forgetful()(x))
    model = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    assert folding.fold_batch_norm(model, keep=["asked"]) is model


def test_what_cannot_be_folded_is_returned_or_stays(rng):
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    two_outputs = keras.Model(image, [x, layers.GlobalAveragePooling2D()(x)])
    unnamed = keras.Model(image, layers.GlobalAveragePooling2D()(Unnamed(2.0)(x)))
    for model in (Subclassed(), two_outputs):
        assert folding.fold_batch_norm(model) is model
    check(unnamed, rng)
    doubled = keras.Sequential([image, layers.Conv2D(4, 3), Doubled(), layers.GlobalAveragePooling2D()])
    assert len(norms(check(doubled, rng))) == 1
