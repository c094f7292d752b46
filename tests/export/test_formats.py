"""LiteRT and ONNX files, run by their own runtimes, against the Keras model."""

import sys

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets, lazy_images
from keras_kd.export import litert, onnx, parity, saved_model, signature
from keras_kd.models import cost, folding
from keras_kd.utils import files, optional
from tests.support.exports import written_by
from tests.support.networks import mlp, shaken


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def model():
    """A plain network with random weights and statistics."""
    keras.utils.set_random_seed(0)
    return shaken(keras_kd.cifar_resnet(8, (8, 8, 1), 10, width=4, shortcuts=False))


@pytest.fixture(scope="module")
def images(digits):
    return digits.test.images[:100]


def normalised_by_hand(images, dataset):
    return ((images.astype(np.float64) / 255 - dataset.mean) / dataset.std).astype("float32")


@pytest.mark.parametrize("batch", [None, 8])
@pytest.mark.parametrize("runtime", [litert, onnx])
def test_a_file_computes_what_the_model_computes_from_raw_images(
    runtime, batch, model, digits, images, tmp_path
):
    path = tmp_path / "student"
    written_by(runtime)(model, path, dataset=digits, batch=batch)
    logits = runtime.session(path)(images)
    expected = keras.ops.convert_to_numpy(model(normalised_by_hand(images, digits)))
    assert logits.dtype == np.float32
    assert logits.shape == (100, 10)
    assert np.abs(logits - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    found = parity.compare(logits, parity.expected_logits(model, images, digits))
    assert found.max_logit_difference <= 1e-5
    assert found.same_class == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "share", "size"),
    [("float16", 0.99, 0.8), ("dynamic_range", 0.9, 0.8), ("full_integer", 0.8, 0.8)],
)
def test_quantised_files_are_smaller_and_nearly_as_good(kind, share, size, model, digits, images, tmp_path):
    whole, small = tmp_path / "whole.tflite", tmp_path / "small.tflite"
    litert.to_litert(model, whole, dataset=digits)
    litert.to_litert(model, small, dataset=digits, kind=kind)
    assert small.stat().st_size < size * whole.stat().st_size
    found = parity.compare(
        litert.session(small)(images), parity.expected_logits(model, images, digits), digits.test.labels[:100]
    )
    assert share <= found.same_class
    assert 1e-5 < found.max_logit_difference < 0.2


@pytest.mark.parametrize("batch", [None, 8])
def test_a_full_integer_file_computes_in_integers_from_pixels_to_logits(
    batch, model, digits, images, tmp_path
):
    path = tmp_path / "small.tflite"
    litert.to_litert(model, path, dataset=digits, kind="full_integer", batch=batch)
    running = optional.require("ai_edge_litert.interpreter", "litert").Interpreter(str(path))
    (image,) = running.get_input_details()
    assert image["dtype"] == np.uint8
    assert image["quantization"] == (1.0, 0)  # the pixel as it is
    outputs = {each["index"]: each["dtype"] for each in running.get_output_details()}
    assert sorted(each.__name__ for each in outputs.values()) == ["float32", "float32", "int64"]
    inside = {each["dtype"].__name__ for each in running.get_tensor_details() if each["index"] not in outputs}
    assert inside == {"uint8", "int8", "int32"}  # biases have 32 bits
    assert litert.session(path)(images).shape == (100, 10)


def test_images_of_another_size_are_refused(model, digits, tmp_path):
    import tensorflow as tf

    signature.write_graph(model, tmp_path / "a", digits)
    onnx.to_onnx(model, tmp_path / "a.onnx", dataset=digits)
    large = np.zeros((2, 9, 9, 1), np.uint8)
    serve = tf.saved_model.load(str(tmp_path / "a")).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2,9,9,1\] is not compatible"):
        serve(image=tf.constant(large))
    with pytest.raises(Exception, match="(?s)invalid dimensions for input: image .*Got: 9 Expected: 8"):
        onnx.session(tmp_path / "a.onnx")(large)


def test_files_are_asked_about_fewer_large_images_at_a_time(model, digits, tmp_path, monkeypatch):
    images, sizes = digits.test.images[:40], []

    def answer(part):
        sizes.append(len(part))
        return part[:, 0, 0]

    signature.write_graph(model, tmp_path / "a", digits)
    small = saved_model.measure_parity(tmp_path / "a", model, digits, count=40)
    monkeypatch.setattr(lazy_images, "PIXELS_AT_ONCE", 16 * 4 * 8 * 8)
    np.testing.assert_array_equal(parity.in_parts(answer)(images), images[:, 0, 0])
    assert sizes == [14, 13, 13]
    monkeypatch.setattr(parity, "expected_logits", watched(parity.expected_logits, sizes))
    large = saved_model.measure_parity(tmp_path / "a", model, digits, count=40)
    assert sizes[3:] == [14, 13, 13]
    assert large == pytest.approx(small, abs=1e-6)


def watched(expected_logits, sizes):
    """The function, which notes of how many images it was asked."""

    def expected(model, images, dataset):
        sizes.append(len(images))
        return expected_logits(model, images, dataset)

    return expected


def test_images_to_compare_are_spread_over_a_split_that_may_be_sorted():
    labels = np.repeat(np.arange(10), 100)
    split = datasets.Split(labels.reshape(-1, 1, 1, 1).astype(np.uint8), labels)
    images, found = parity.spread(split, 300)
    np.testing.assert_array_equal(images.ravel(), found)
    assert set(np.bincount(found)) <= {29, 30, 31}
    assert len(parity.spread(split, 2000)[1]) == 1000


def test_integers_are_calibrated_on_the_images_that_are_given(tmp_path, rng):
    """Of a network of brightness alone, which dark images do not show."""
    brightness = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    network = shaken(keras.Sequential([keras.Input((8, 8, 1)), *brightness]))
    dark, bright = ((low + rng.integers(0, 60, (50, 8, 8, 1))).astype(np.uint8) for low in (0, 190))
    expected = parity.expected_logits(network, bright)

    def difference(images):
        litert.to_litert(network, tmp_path / "a.tflite", kind="full_integer", calibration=images)
        logits = litert.session(tmp_path / "a.tflite")(bright)
        return parity.compare(logits, expected).max_logit_difference

    assert difference(np.concatenate([dark, bright])) < 0.02
    assert difference(dark) > 0.5


def test_integers_are_calibrated_at_as_many_images_as_the_file_takes(tmp_path, rng):
    """Of a network whose Flatten holds the number of images; 10 fill no whole number of batches."""
    network = shaken(mlp())
    images = rng.integers(0, 256, (10, 8, 8, 1)).astype(np.uint8)
    images[0, 0, 0], images[0, -1, -1] = 0, 255  # as calibration has them
    logits = {}
    for batch in (1, 4):
        path = tmp_path / f"{batch}.tflite"
        litert.to_litert(network, path, kind="full_integer", batch=batch, calibration=images)
        logits[batch] = litert.session(path)(images)
    np.testing.assert_allclose(logits[4], logits[1], rtol=1e-6)
    assert parity.compare(logits[4], parity.expected_logits(network, images)).max_logit_difference < 0.05


def test_networks_trained_in_bfloat16_become_float32_files(digits, images, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = keras_kd.cifar_resnet(8, (8, 8, 1), 10, width=4, shortcuts=False)
    finally:
        keras.config.set_dtype_policy("float32")
    onnx.to_onnx(network, tmp_path / "a.onnx", dataset=digits)
    expected = parity.expected_logits(network, images, digits)
    assert parity.compare(onnx.session(tmp_path / "a.onnx")(images), expected).max_logit_difference < 1e-5


def bottlenecks():
    return keras_kd.imagenet_resnet(50, (16, 16, 3), 10, width=8, stem="cifar")


@pytest.mark.parametrize(
    "build",
    [
        lambda: keras_kd.cifar_resnet(8, (16, 16, 3), 10, width=8),
        lambda: keras_kd.cifar_resnet(8, (16, 16, 3), 10, width=8, shortcuts=False),
        pytest.param(bottlenecks, marks=pytest.mark.slow),
    ],
    ids=["residual", "plain", "bottlenecks"],
)
def test_the_arena_is_what_the_graph_says(build, tmp_path, rng):
    """LiteRT's own plan of memory against ours, but for the logits and what it pads."""
    network, path = shaken(build()), tmp_path / "a.tflite"
    images = rng.integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    for kind, dtype in (("float32", "float32"), ("full_integer", "uint8")):
        litert.to_litert(network, path, batch=1, kind=kind, calibration=images)
        peak = cost.cost(network).peak(dtype)
        assert peak <= litert.arena(path) <= peak + 512


def test_an_exported_plain_network_is_convolutions_biases_and_relu_alone(digits, tmp_path):
    import onnx as onnx_package

    network = shaken(keras_kd.cifar_resnet(8, (8, 8, 1), 10, width=4, shortcuts=False))
    onnx.to_onnx(folding.fold_batch_norm(network), tmp_path / "a.onnx", dataset=digits)
    kinds = [node.op_type for node in onnx_package.load(tmp_path / "a.onnx").graph.node]
    assert kinds.count("Conv") == kinds.count("Relu") == 7
    first, last = kinds.index("Conv"), len(kinds) - kinds[::-1].index("Conv")
    assert set(kinds[first:last]) == {"Conv", "Relu"}


def test_parity_is_measured_and_checked():
    expected = np.array([[4.0, 0.0], [0.0, 2.0], [1.0, 0.9]])
    logits = expected + np.array([[0.0, 0.4], [0.0, 0.0], [0.0, 0.2]])
    found = parity.compare(logits, expected, np.array([0, 0, 1]))
    assert found == parity.Parity(pytest.approx(0.1), pytest.approx(2 / 3), pytest.approx(1 / 3), 3)
    parity.check(found, "a.onnx", tolerance=0.11, same_class=0.6)
    with pytest.raises(parity.ParityError, match="a.onnx does not compute .*differ by 0.1 .*0.05 is allowed"):
        parity.check(found, "a.onnx", tolerance=0.05)
    with pytest.raises(parity.ParityError, match="same class for 66.7% of 3 images, 90.0% is asked for"):
        parity.check(found, "a.onnx", same_class=0.9)
    with pytest.raises(parity.ParityError):
        parity.check(parity.compare(np.full((1, 2), np.nan), expected[:1]), "a.onnx", tolerance=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, pytest.param(48, marks=pytest.mark.slow)])
def test_tensorflow_alone_serves_a_saved_model(batch, model, digits, images, tmp_path):
    signature.write_graph(model, tmp_path / "a", digits, batch=batch)
    logits = parity.saved_model_session(tmp_path / "a", batch)(images)
    expected = parity.expected_logits(model, images, digits)
    assert parity.compare(logits, expected).max_logit_difference <= 1e-5


TENSORFLOW = """
import types

import numpy as np

logits = types.SimpleNamespace(numpy=lambda: np.ones((4, 2)))
served = types.SimpleNamespace(signatures={"serving_default": lambda image: {"logits": logits}})
saved_model = types.SimpleNamespace(load=lambda path: served)
constant = np.asarray
"""


def test_tensorflow_is_found_where_this_python_finds_it_and_not_in_the_current_folder(tmp_path, monkeypatch):
    """PYTHONPATH counts, and so do packages of the user; a script that is called like a package does not."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "tensorflow.py").write_text(TENSORFLOW)
    (tmp_path / "numpy.py").write_text("raise ImportError('a script of the user')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.chdir(tmp_path)
    logits = parity.saved_model_session(tmp_path / "a")(np.zeros((4, 8, 8, 1), np.uint8))
    np.testing.assert_array_equal(logits, np.ones((4, 2)))


@pytest.mark.slow
def test_a_file_that_cannot_be_served_is_named(images, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(parity.ParityError, match="a cannot be served by TensorFlow: "):
        parity.saved_model_session(tmp_path / "a")(images)


@pytest.mark.parametrize(
    ("use", "module", "extra"),
    [
        (litert.session, "ai_edge_litert.interpreter", "litert"),
        (onnx.session, "onnxruntime", "onnx"),
        (lambda path: onnx.to_onnx(None, path), "tf2onnx", "onnx"),
    ],
)
def test_a_missing_package_says_how_to_install_it(use, module, extra, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    line = rf"{module} is not installed: pip install 'keras_kd\[{extra}\]'"
    with pytest.raises(optional.MissingPackageError, match=line):
        use(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_converted_is_refused_and_leaves_nothing(model, digits, tmp_path, monkeypatch):
    path = tmp_path / "a.tflite"
    with pytest.raises(ValueError, match="kind must be one of .* Received: kind='int4'"):
        litert.to_litert(model, path, kind="int4")
    with pytest.raises(ValueError, match="full_integer needs images that show its ranges"):
        litert.to_litert(model, path, kind="full_integer")
    wrong = keras_kd.cifar_resnet(8, (16, 16, 3), 10, width=4)
    for runtime in (litert, onnx):
        with pytest.raises(ValueError, match=r"must take images of shape \(8, 8, 1\)"):
            written_by(runtime)(wrong, path, dataset=digits)
    path.write_bytes(b"older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        onnx.to_onnx(model, path, dataset=digits)
    assert [each.name for each in tmp_path.iterdir()] == ["a.tflite"]
    assert path.read_bytes() == b"older"


def test_a_tensor_that_no_operation_reads_takes_no_place_in_the_arena(monkeypatch):
    """As in MobileNetV3 as 8-bit integers; LiteRT says that it is not allocated."""
    memory = np.zeros(64, np.uint8)

    class Interpreter:
        def allocate_tensors(self):
            pass

        def get_tensor_details(self):
            return [{"index": 0}, {"index": 1}, {"index": 2}]

        def get_input_details(self):
            return [{"index": 0}]

        def get_tensor(self, index):
            raise ValueError("Tensor data is null. Run allocate_tensors() first")

        def tensor(self, index):
            return (lambda: memory[:48], lambda: memory[48:], lambda: self.get_tensor(2))[index]

    monkeypatch.setattr(litert, "_interpreter", lambda *args, **options: Interpreter())
    assert litert.arena("model.tflite") == 64
