"""Networks whose layers other formats do not take as they are, or not at all."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd.export import conversion, litert, onnx, parity
from tests.support.exports import written_by

SHAPE = (6, 6, 4)

RUNTIMES = [pytest.param(onnx, id="onnx"), pytest.param(litert, id="litert")]


def network(*parts, name="net"):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(image)
    for part in parts:
        x = part(x)
    return keras.Model(image, layers.Dense(3, name="head")(layers.Flatten()(x)), name=name)


def adapted():
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(size=(20, *SHAPE)).astype("float32"))
    return norm


def attended(x):
    return layers.MultiHeadAttention(2, 3, name="attention")(x, x)


SEQUENCE = layers.Reshape((12, 12), name="sequence")

NETWORKS = {
    "groups": lambda: network(layers.Conv2D(8, 3, groups=2, name="grouped")),
    "groups of one": lambda: network(layers.Conv2D(8, 1, groups=4, strides=2, padding="same")),
    "groups in a line": lambda: network(SEQUENCE, layers.Conv1D(6, 3, groups=3, padding="causal")),
    "exact gelu": lambda: network(layers.Conv2D(4, 3, activation="gelu")),
    "celu": lambda: network(layers.Conv2D(4, 3, activation="celu")),
    "softplus": lambda: network(layers.Rescaling(300.0), layers.Activation("softplus")),
    "moments that were given": lambda: network(
        layers.Normalization(mean=[1, 2, 3, 4], variance=[1, 2, 3, 4])
    ),
    "moments that were adapted": lambda: network(adapted()),
    "separable": lambda: network(layers.SeparableConv2D(4, 3), layers.DepthwiseConv2D(3, dilation_rate=1)),
    "attention": lambda: network(SEQUENCE, layers.LayerNormalization(), attended),
    "lstm": lambda: network(SEQUENCE, layers.LSTM(3)),
    "both ways": lambda: network(SEQUENCE, layers.Bidirectional(layers.GRU(2))),
}


# Loops and groups take long to convert, others are like those that remain.
SLOW = {"both ways", "lstm", "groups in a line", "celu", "attention"}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow) if each in SLOW else each for each in NETWORKS]
)
def test_layers_that_need_another_form_compute_the_same(name, runtime, tmp_path):
    model = NETWORKS[name]()
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    expected = parity.expected_logits(model, images)
    written_by(runtime)(model, tmp_path / "file")
    found = parity.compare(runtime.session(tmp_path / "file")(images), expected)
    assert found.max_logit_difference < 1e-4
    np.testing.assert_array_equal(parity.expected_logits(model, images), expected)  # nothing was kept


class Own(layers.Layer):
    """A layer that computes what no other format knows."""

    def call(self, x):
        return ops.erfinv(0.5 * ops.tanh(x))

    def compute_output_shape(self, shape):
        return shape


def inverted(x):
    squared = ops.matmul(x, ops.transpose(x, (0, 1, 3, 2)))
    return ops.linalg.inv(squared + 9.0 * ops.eye(6))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("part", "operation", "place"),
    [
        (Own(name="mine"), "Erfinv", "of layer 'mine' (Own)"),
        (layers.Activation(ops.erfinv, name="last"), "Erfinv", "of layer 'last' (Activation)"),
        (inverted, "MatrixInverse", "at 'net"),
    ],
)
def test_what_a_format_does_not_know_is_named_in_one_line_and_nothing_is_written(
    part, operation, place, runtime, tmp_path, capfd
):
    path = tmp_path / "file"
    path.write_text("what was there")
    with pytest.raises(conversion.ConversionError) as found:
        written_by(runtime)(network(lambda x: 0.01 * x, part), path)
    assert "error" not in capfd.readouterr().err.lower()  # nor in lines of a converter's own
    message = str(found.value)
    assert f"the operation {operation} {place}" in message
    assert "\n" not in message
    assert path.read_text() == "what was there"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_that_computes_no_numbers_is_not_written(tmp_path):
    model = network(layers.Conv2D(4, 3))
    with pytest.raises(conversion.ConversionError, match="LiteRT computes NaN or infinities where 'net'"):
        conversion.check_runs(
            lambda path: lambda images: np.full((len(images), 3), np.nan), tmp_path, model, None, "LiteRT"
        )


def test_a_message_without_an_operation_is_cut_to_one_line():
    model = network()
    with (
        pytest.raises(conversion.ConversionError, match=r"as ONNX: first second") as found,
        conversion.converting(model, "ONNX"),
    ):
        raise RuntimeError("first\nsecond" + " more" * 1000)
    assert len(str(found.value)) < 400
    with pytest.raises(OSError, match="full"), conversion.converting(model, "ONNX"):
        raise OSError("the disk is full")


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("net_1/head_1/MatMul", "head"),
        ("net/head/inner_3/Add", "head"),
        ("net/unknown/Add", None),
        ("Cast", None),
    ],
)
def test_a_place_in_a_graph_belongs_to_a_layer(path, layer):
    found = conversion.layer_of(path, network())
    assert (found and found.name) == layer


def test_attributes_come_back(tmp_path):
    model = network(SEQUENCE, layers.Bidirectional(layers.GRU(2), name="both"))
    rnn = model.get_layer("both").forward_layer
    with conversion.lent(model, "unroll", lambda layer: True):
        assert rnn.unroll
    assert not rnn.unroll
    with pytest.raises(RuntimeError), conversion.lent(model, "unroll", lambda layer: True):
        raise RuntimeError
    assert not rnn.unroll
