"""Multiply-adds of every layer that Keras ships: by hand, by TensorFlow's profiler, or not counted."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd.models import cost, fading, logits, multiply_adds, outputs

IMAGE, VOLUME, SEQUENCE = (8, 6, 4), (5, 4, 3, 2), (7, 4)


def attention(layer):
    return lambda x: layer(x, layers.Conv1D(4, 3)(x))  # queries 7 x 4, values 5 x 4


# (input, layer or function, multiply-adds by hand, how often TensorFlow's profiler has to count its graph):
# once, once for each step of a loop, or 0 where it does not know the operations or counts what pads them.
BY_HAND = [
    (SEQUENCE, layers.Conv1D(5, 3, strides=2), 3 * 5 * 3 * 4, 1),
    (SEQUENCE, layers.Conv1D(6, 3, padding="causal", dilation_rate=2), 7 * 6 * 3 * 4, 0),
    (IMAGE, layers.Conv2D(10, 3, strides=2, padding="same"), 4 * 3 * 10 * 9 * 4, 1),
    (IMAGE, layers.Conv2D(6, (3, 1), groups=2), 6 * 6 * 6 * 3 * 2, 0),
    (VOLUME, layers.Conv3D(3, 2), 4 * 3 * 2 * 3 * 8 * 2, 1),
    (SEQUENCE, layers.DepthwiseConv1D(3, depth_multiplier=2), 5 * 3 * 4 * 2, 1),
    (IMAGE, layers.DepthwiseConv2D(3, padding="same"), 8 * 6 * 9 * 4, 1),
    (SEQUENCE, layers.SeparableConv1D(5, 3), 5 * (3 * 4 + 4 * 5), 1),
    (IMAGE, layers.SeparableConv2D(5, 3, strides=2), 3 * 2 * (9 * 4 + 4 * 5), 1),
    (IMAGE, layers.SeparableConv2D(5, 3, depth_multiplier=2), 6 * 4 * (9 * 8 + 8 * 5), 1),
    (SEQUENCE, layers.Conv1DTranspose(5, 3), 7 * 3 * 4 * 5, 0),
    (IMAGE, layers.Conv2DTranspose(5, 3, strides=2, padding="same"), 48 * 9 * 4 * 5, 1),
    (VOLUME, layers.Conv3DTranspose(3, 2), 60 * 8 * 2 * 3, 0),
    ((9,), layers.Dense(3), 27, 1),
    (IMAGE, layers.Dense(3), 48 * 4 * 3, 1),
    (SEQUENCE, layers.EinsumDense("abc,cd->abd", (7, 5)), 7 * 4 * 5, 1),
    (SEQUENCE, layers.EinsumDense("abc,bcde->ade", (2, 3)), 7 * 4 * 2 * 3, 0),
    (IMAGE, layers.EinsumDense("...x,xy->...y", 3), 48 * 4 * 3, 0),
    (SEQUENCE, lambda x: layers.Dot((2, 2))([x, x]), 7 * 7 * 4, 1),
    (SEQUENCE, lambda x: layers.Dot(1)([x, x]), 4 * 4 * 7, 1),
    (SEQUENCE, lambda x: layers.Attention()([x, layers.Conv1D(4, 3)(x)]), 7 * 5 * (4 + 4), 1),
    (SEQUENCE, lambda x: layers.Attention(score_mode="concat")([x, x]), 7 * 7 * 4, 1),
    (SEQUENCE, lambda x: layers.AdditiveAttention()([x, x]), 7 * 7 * (4 + 4), 0),
    (
        SEQUENCE,
        attention(layers.MultiHeadAttention(2, 3, value_dim=5)),
        # query, key, value, scores, weighted values, output
        7 * 4 * 6 + 5 * 4 * 6 + 5 * 4 * 10 + 7 * 5 * 6 + 7 * 5 * 10 + 7 * 10 * 4,
        0,
    ),
    (
        IMAGE,
        lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(2,))(x, x),
        4 * (48 * 4 * 6) + 2 * (48 * 6 * 6),  # each row of 6 places by itself
        0,
    ),
    (
        SEQUENCE,
        attention(layers.GroupQueryAttention(3, 4, 2)),
        7 * 4 * 12 + 2 * 5 * 4 * 6 + 2 * 7 * 5 * 12 + 7 * 12 * 4,
        0,
    ),
    (SEQUENCE, layers.SimpleRNN(3), 7 * (4 * 3 + 3 * 3), 7),
    (SEQUENCE, layers.LSTM(3, return_sequences=True), 7 * 4 * (4 * 3 + 3 * 3), 7),
    (SEQUENCE, layers.GRU(3), 7 * 3 * (4 * 3 + 3 * 3), 7),
    (SEQUENCE, layers.GRU(3, reset_after=False, go_backwards=True), 7 * 3 * (4 * 3 + 3 * 3), 7),
    (
        SEQUENCE,
        layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])),
        7 * (4 * (4 * 3 + 3 * 3) + 3 * (3 * 2 + 2 * 2)),
        0,
    ),
    (SEQUENCE, layers.Bidirectional(layers.LSTM(3)), 2 * 7 * 4 * (4 * 3 + 3 * 3), 7),
    ((7, *IMAGE), layers.TimeDistributed(layers.Conv2D(5, 3)), 7 * 6 * 4 * 5 * 9 * 4, 1),
    ((7, *IMAGE), layers.ConvLSTM2D(5, 3, padding="same"), 7 * 48 * 4 * 5 * 9 * (4 + 5), 7),
    ((7, *IMAGE), layers.ConvLSTM2D(5, 3, return_sequences=True), 7 * 24 * 4 * 5 * 9 * (4 + 5), 7),
    ((9, *SEQUENCE), layers.ConvLSTM1D(5, 3), 9 * 5 * 4 * 5 * 3 * (4 + 5), 9),
    ((2, *VOLUME), layers.ConvLSTM3D(3, 2), 2 * 24 * 4 * 3 * 8 * (2 + 3), 2),
    (IMAGE, layers.SpectralNormalization(layers.Conv2D(5, 3)), 24 * 5 * 9 * 4, 1),
    (SEQUENCE, lambda x: layers.ReversibleEmbedding(11, 4)(x, reverse=True), 7 * 4 * 11, 1),
    (IMAGE, outputs.WithoutActivation(layers.Conv2D(5, 3, activation="softmax")), 24 * 5 * 9 * 4, 1),
    (SEQUENCE, lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), 7 * 7 * 4, 1),
]


def built(shape, layer):
    image = keras.Input(shape)
    return keras.Model(image, layer(image))


def by_layer(model):
    """`{kind: multiply-adds}` of those that have some."""
    return {each.kind: multiply_adds.count(each) for each in cost.list_operations(model)}


def told(case):
    return f"{getattr(case, 'name', 'function')}"


@pytest.mark.parametrize(("shape", "layer", "expected", "_"), BY_HAND, ids=told)
def test_counts_by_hand(shape, layer, expected, _):
    model = built(shape, layer)
    *_, counted = cost.list_operations(model)
    assert multiply_adds.count(counted) == expected
    assert cost.cost(model).not_counted == ()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own profiler")
@pytest.mark.parametrize(
    ("shape", "layer", "times"), [(*case[:2], case[3]) for case in BY_HAND if case[3]], ids=told
)
def test_counts_are_half_of_the_operations_that_tensorflow_counts(shape, layer, times):
    model = built(shape, layer)
    assert cost.cost(model).multiply_adds == times * profiled(model)


def profiled(model):
    """Multiply-adds after TensorFlow: half of the operations of its convolutions and products."""
    import tensorflow as tf

    shape = (1, *model.input_shape[1:])
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32)
    )
    options = (
        tf.compat.v1.profiler.ProfileOptionBuilder(
            tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        )
        .with_empty_output()
        .build()
    )
    tree = tf.compat.v1.profiler.profile(function.graph, cmd="op", options=options)
    kinds = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Conv2DBackpropInput", "Conv3D")
    found, nodes = 0, [tree]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        found += node.float_ops if node.name in kinds else 0
    return found / 2


SHIPPED = [
    name
    for name in dir(layers)
    if inspect.isclass(getattr(layers, name)) and issubclass(getattr(layers, name), layers.Layer)
]

# No rule: what they compute is somebody else's, or has an algorithm of its own.
NOT_COUNTED = {
    *("Layer", "Wrapper", "Lambda", "Pipeline", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer"),
    *("TextVectorization", "MelSpectrogram", "STFTSpectrogram"),
    "ContrastLimitedAdaptiveHistogramEqualization",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_layer_is_counted_or_has_none_or_is_told(name):
    kind = getattr(layers, name)
    known = kind in multiply_adds.RULES, kind in multiply_adds.ELEMENTWISE_LAYERS, name in NOT_COUNTED
    assert sum(known) == 1, name


def test_every_rule_is_counted_by_hand():
    cells = {layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell, layers.StackedRNNCells}
    seen = set()
    for shape, layer, *_ in BY_HAND:
        for operation in cost.list_operations(built(shape, layer)):
            seen.add(type(operation.layer))
    assert set(multiply_adds.RULES) - seen == cells  # which are counted within their layers


class Squares(layers.Layer):
    """One's own layer."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2))

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2)


class Twice(layers.Dense):
    """A dense layer that does something else."""

    def call(self, x):
        return super().call(super().call(x))


class Named(layers.Dense):
    """A dense layer that computes what a dense layer does."""


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Squares(name="mine"), "mine (Squares)"),
        (Twice(4, name="twice"), "twice (Twice)"),
        (layers.Lambda(lambda x: x @ ops.transpose(x, (0, 2, 1)), name="squared"), "squared (Lambda)"),
        (layers.TimeDistributed(Squares(), name="each"), "each (TimeDistributed)"),
        (layers.Bidirectional(layers.RNN(layers.LSTMCell(2)), name="both"), None),
        (lambda x: ops.einsum("abc,abd->acd", x, x), "einsum (Einsum)"),
        (lambda x: ops.conv(x, np.ones((3, 4, 2), "float32")), "conv (Conv)"),
    ],
)
def test_what_is_not_known_is_named_and_not_taken_for_0(layer, name):
    keras.utils.clear_session()
    model = built(SEQUENCE, lambda x: layer(layers.Dense(4)(x)))
    found = cost.cost(model)
    assert found.not_counted == ((name,) if name else ())
    if name:
        assert found.multiply_adds == 7 * 4 * 4  # those of the dense layer before it


def test_a_layer_of_another_name_that_computes_the_same_is_counted():
    assert cost.cost(built(SEQUENCE, Named(3))).multiply_adds == 7 * 4 * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Xception", 8.4e9),  # Chollet 2017, table 3: 22.9 million parameters
        ("MobileNetV2", 300e6),  # Sandler et al. 2018, table 4
        ("DenseNet121", 2.85e9),
        ("VGG16", 15.5e9),
    ],
)
def test_keras_applications_are_as_published(name, published):
    build = getattr(keras.applications, name.split(".")[-1])
    size = (299, 299, 3) if name == "Xception" else (224, 224, 3)
    found = cost.cost(build(weights=None, input_shape=size))
    assert found.multiply_adds == pytest.approx(published, rel=0.02)
    assert found.not_counted == ()


def test_a_gate_of_a_shortcut_has_none():
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 1)(image)
    found = cost.cost(keras.Model(image, fading.FadingShortcut(2, 6)([x, layers.Conv2D(2, 1)(x)])))
    assert (found.multiply_adds, found.not_counted) == (2 * 16 * 4, ())


@pytest.mark.parametrize(
    ("ends", "made"),
    [
        ((layers.Dense(1, "sigmoid"),), logits.two_logits),
        ((layers.Dense(3, "softmax"),), logits.logits_of),
        ((layers.Dense(3, "softmax"), layers.Rescaling(1.0)), logits.logits_of),
    ],
)
def test_logits_made_of_what_a_network_returns_have_none(ends, made):
    network = made(keras.Sequential([keras.Input((4, 4, 2)), layers.Flatten(), *ends]))
    found = cost.cost(network)
    assert (found.multiply_adds, found.not_counted) == (32 * ends[0].units, ())


def test_a_small_network_of_many_kinds_adds_up():
    image = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.SeparableConv2D(4, 3, padding="same")(x)
    x = layers.Reshape((64, 4))(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.MultiHeadAttention(1, 2)(x, x)])
    x = layers.LSTM(5)(x)
    model = keras.Model(image, layers.Dense(3)(x))
    counts = by_layer(model)
    assert counts["SeparableConv2D"] == 64 * (27 + 12)
    assert counts["MultiHeadAttention"] == 4 * 64 * 4 * 2 + 2 * 64 * 64 * 2
    assert counts["LSTM"] == 64 * 4 * (4 * 5 + 5 * 5)
    assert counts["Rescaling"] == counts["BatchNormalization"] == counts["Add"] == counts["Reshape"] == 0
    attention, recurrent = counts["MultiHeadAttention"], counts["LSTM"]
    assert cost.cost(model).multiply_adds == 64 * 39 + attention + recurrent + 5 * 3
