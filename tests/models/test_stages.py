"""The layers at which networks are compared when no one names them."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd.models import graph, stages
from tests.support.networks import mlp


def cnn(activation=None):
    """Convolutions of two sizes; the last layer of each size is a BatchNorm and a ReLU."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(4, 3, padding="same", name="second"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(4, activation, name="logits"),
        ]
    )


def with_softmax_behind():
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2)
    return keras.Model(model.input, layers.Softmax()(model.outputs[0]))


def inside_another(behind=True):
    image = keras.Input((8, 8, 3))
    inner = keras.Model(image, layers.MaxPooling2D(name="pool")(layers.Conv2D(4, 3, padding="same")(image)))
    inner.name = "backbone"
    outer = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", name="stem")(outer)
    x = layers.ReLU(name="relu")(inner(x)) if behind else inner(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(outer, layers.Dense(4)(x))


def scaled():
    """Pixels are scaled and padded before the first kernel halves them."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255, name="pixels"),
            layers.Normalization(mean=0.5, variance=1.0, name="normal"),
            layers.BatchNormalization(name="norm"),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(4, 3, strides=2, name="first"),
            layers.ZeroPadding2D(2, name="pad_again"),
            layers.Conv2D(4, 3, padding="same", strides=4, name="second"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(4),
        ]
    )


def with_gates(pooled):
    """Each convolution has a gate of one place, the last maps are of one place, and so is the head.

    Args:
      pooled: makes the features of a gate of maps.
    """
    x = image = keras.Input((8, 8, 3))
    for name, strides in (("first", 1), ("second", 2), ("third", 4)):
        x = layers.Conv2D(4, 3, padding="same", strides=strides, name=name)(x)
        gate = layers.Conv2D(4, 1, activation="sigmoid", name=f"{name}_gate")(pooled(x))
        x = layers.Multiply(name=f"{name}_out")([x, gate])
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = layers.Flatten(name="flat")(layers.Conv2D(4, 1, name="logits")(x))
    return keras.Model(image, layers.Dense(4)(x))


def of_one_place(x):
    return layers.AveragePooling2D(x.shape[1])(x) if x.shape[1] > 1 else x


def decoder():
    """The maps become smaller and larger again: what is between leads to the largest alone."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.Conv2D(4, 3, padding="same", strides=2, name="second")(x)
    x = layers.Conv2DTranspose(4, 3, padding="same", strides=2, name="up")(x)
    x = layers.Conv2D(4, 3, padding="same", strides=4, name="third")(x)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D(name="mean")(x)))


GATED = {(8, 8): "first_out", (4, 4): "second_out", (1, 1): "third_out"}
BLOCKS = {(8, 8): "stage1_block1_out", (4, 4): "stage2_block1_out", (2, 2): "stage3_block1_out"}
NETWORKS = [
    (lambda: keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2), BLOCKS, "head_pool"),
    (lambda: keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2, shortcuts=False), BLOCKS, "head_pool"),
    (cnn, {(8, 8): "norm", (4, 4): "relu"}, "mean"),
    (lambda: cnn("softmax"), {(8, 8): "norm", (4, 4): "relu"}, "mean"),
    (with_softmax_behind, BLOCKS, "head_pool"),
    (inside_another, {(8, 8): "stem", (4, 4): "relu"}, "mean"),
    (scaled, {(4, 4): "first", (2, 2): "second"}, "mean"),
    (lambda: with_gates(layers.GlobalAveragePooling2D(keepdims=True)), GATED, "flat"),
    (decoder, {(8, 8): "up", (2, 2): "third"}, "mean"),
]


@pytest.mark.parametrize(("build", "ends", "penultimate"), NETWORKS)
def test_the_ends_of_stages_and_the_last_features(build, ends, penultimate):
    model = build()
    assert stages.stage_ends(model) == ends
    assert stages.penultimate(model) == penultimate
    taps = graph.feature_extractor(model, [*ends.values(), penultimate])
    found = taps(np.zeros((1, 8, 8, 3), "float32"))
    assert {size: tuple(found[name].shape[1:3]) for size, name in ends.items()} == {
        size: size for size in ends
    }


def test_stages_are_in_the_order_of_their_ends():
    """Also where a gate, of pooling over a window of its own, has maps of the last size before."""
    assert list(stages.stage_ends(with_gates(of_one_place)).items()) == list(GATED.items())


def test_a_frozen_network_has_the_stages_that_it_had():
    model = scaled()
    model.trainable = False
    assert stages.stage_ends(model) == {(4, 4): "first", (2, 2): "second"}


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (lambda: keras_kd.wide_resnet(10, 1, (8, 8, 3), 4), ["stage1", "stage2", "stage3"]),
        (
            lambda: keras_kd.imagenet_resnet(18, (64, 64, 3), 4, width=2),
            ["stage1", "stage2", "stage3", "stage4"],
        ),
    ],
)
def test_every_stage_of_a_residual_network_has_its_last_block(model, names):
    ends = stages.stage_ends(model()).values()
    assert [name.split("_")[0] for name in ends] == names


def pairs(of, teacher, student):
    return stages.PAIRS[of](teacher, student)


def test_layers_are_paired_by_the_size_of_their_maps():
    teacher, student = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2), cnn()
    assert pairs("stages", teacher, student) == (["stage1_block1_out", "stage2_block1_out"], ["norm", "relu"])
    assert pairs("last_stage", teacher, student) == (["stage3_block1_out"], ["relu"])
    assert pairs("penultimate", teacher, student) == (["head_pool"], ["mean"])


def with_one_relu(once=True):
    """A ReLU is called after each convolution; the convolutions are two, or one that is called twice."""
    image, relu = keras.Input((8, 8, 3)), layers.ReLU(name="relu")
    first = layers.Conv2D(3, 3, padding="same", name="first")
    second = layers.Conv2D(3, 3, padding="same", name="second") if once else first
    x = layers.GlobalAveragePooling2D()(relu(second(relu(first(image)))))
    return keras.Model(image, layers.Dense(4)(x), name="shared")


def test_an_end_is_a_layer_that_is_called_once():
    assert stages.stage_ends(with_one_relu()) == {(8, 8): "second"}
    message = r"only the layer 'first' of 'shared' has feature maps of \(8, 8\), .* is one of several calls"
    with pytest.raises(ValueError, match=message) as said:
        stages.stage_ends(with_one_relu(once=False))
    assert "\n" not in str(said.value)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("of", stages.PAIRS)
def test_a_network_without_a_graph_has_no_layers_to_find(of):
    with pytest.raises(ValueError, match="only functional and sequential models .*'opaque'"):
        pairs(of, cnn(), Subclassed(name="opaque"))


@pytest.mark.parametrize("of", ["stages", "last_stage"])
def test_a_network_without_maps_is_named_with_its_shapes(of):
    flat = mlp(name="flat")
    with pytest.raises(
        ValueError, match=r"'flat' has no layer with feature maps: .*\(None, 64\), 'dense"
    ) as told:
        pairs(of, cnn(), flat)
    assert "\n" not in str(told.value)


def test_stages_of_other_sizes_are_named():
    larger = keras.Sequential([keras.Input((9, 9, 3)), layers.Conv2D(2, 3, name="conv")])
    with pytest.raises(ValueError, match=r"of one size: name the layers.*\(8, 8\): 'norm'.*\(7, 7\): 'conv'"):
        pairs("stages", cnn(), larger)


def test_stages_of_open_sizes_are_not_paired():
    """All have the size (None, None), so that the last one alone would be looked at."""
    image = keras.Input((None, None, 3))
    open_sizes = keras.Model(image, layers.Conv2D(2, 3, strides=2, name="b")(layers.Conv2D(2, 3)(image)))
    for networks in ((open_sizes, cnn()), (cnn(), open_sizes)):
        with pytest.raises(ValueError, match=r"which are open in model .*keras\.Input") as said:
            pairs("stages", *networks)
        assert repr(open_sizes.name) in str(said.value)
    assert pairs("last_stage", open_sizes, cnn()) == (["b"], ["relu"])


def test_a_single_dense_layer_has_nothing_before_it():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="only")], name="short")
    with pytest.raises(ValueError, match="'short' has no dense layer behind another one.*'only'"):
        stages.penultimate(model)


def test_maps_of_a_model_inside_another_alone_cannot_be_looked_at():
    model = inside_another(behind=False)
    with pytest.raises(ValueError, match=r"only the model 'backbone' .* of \(4, 4\).*: layers .*'stem'"):
        stages.stage_ends(model)
    with pytest.raises(ValueError, match="'backbone' is a model inside .*: name a layer behind it"):
        graph.feature_extractor(model, ["backbone"])
