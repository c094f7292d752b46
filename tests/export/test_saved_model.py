import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets
from keras_kd.export import parity, prediction, saved_model, signature
from keras_kd.models import folding, graph
from tests.support.networks import left_of, resnet8, shaken
from tests.support.processes import ROOT, run_python


@pytest.fixture
def digits():
    return datasets.load("digits")


def student(shape=(8, 8, 1), classes=10, policy="float32", seed=0):
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        return keras_kd.cifar_resnet(8, shape, classes, width=8, shortcuts=False)
    finally:
        keras.config.set_dtype_policy("float32")


SERVE = """
import sys, numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
outputs = {name: value.numpy() for name, value in serve(image=tf.constant(np.load(sys.argv[2]))).items()}
assert "keras_kd" not in sys.modules
np.savez(sys.argv[3], **outputs)
"""


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_fresh_process_computes_what_the_model_computes(digits, tmp_path, policy):
    model = student(policy=policy)
    path = tmp_path / "student"
    saved_model.export_saved_model(model, path, dataset=digits)
    images = digits.test.images[:256]
    np.save(tmp_path / "images.npy", images)
    status, _, errors = run_python(
        "-c", SERVE, path, tmp_path / "images.npy", tmp_path / "out.npz", cwd=tmp_path, PYTHONPATH=""
    )
    assert status == 0, errors
    served = np.load(tmp_path / "out.npz")
    normalised = ((images / 255 - digits.mean) / digits.std).astype("float32")
    logits = signature.serving_network(model).predict(normalised, verbose=0)
    np.testing.assert_allclose(served["logits"], logits, atol=1e-5)
    np.testing.assert_array_equal(served["class_id"], logits.argmax(axis=1))
    np.testing.assert_allclose(served["probabilities"].sum(axis=1), 1, atol=1e-5)
    assert {name: served[name].dtype.name for name in served.files} == {
        "logits": "float32",
        "probabilities": "float32",
        "class_id": "int64",
    }


def test_the_serving_network_of_a_mixed_network_has_its_weights(digits):
    model = student(policy="mixed_bfloat16")
    copy = signature.serving_network(model)
    assert all(layer.compute_dtype == "float32" for layer in copy.layers)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    plain = student()
    assert signature.serving_network(plain) is plain


def test_metadata_says_what_a_deployer_needs(digits, tmp_path):
    path = tmp_path / "student"
    saved_model.export_saved_model(student(), path, dataset=dataclasses.replace(digits, resizing="whole"))
    assert prediction.open_predictor(path).resizing == "whole"
    metadata = json.loads((path / "metadata.json").read_text())
    assert metadata["class_names"] == list("0123456789")
    assert metadata["input"] == {"name": "image", "dtype": "uint8", "shape": [None, 8, 8, 1]}
    np.testing.assert_allclose(metadata["normalisation"]["mean"], digits.mean)
    assert metadata["dataset"]["fingerprint"] == digits.fingerprint


def test_without_a_dataset_the_model_takes_pixel_values(rng, tmp_path):
    import tensorflow as tf

    model = student(shape=(8, 8, 3))
    path = tmp_path / "student"
    found = saved_model.export_saved_model(model, path)
    assert found["max_logit_difference"] <= 1e-5
    images = rng.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    served = tf.saved_model.load(str(path)).signatures["serving_default"](image=tf.constant(images))
    expected = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(served["logits"], expected, rtol=1e-5, atol=1e-4)


def test_parity_is_measured(digits, tmp_path):
    model, path = student(), tmp_path / "student"
    found = saved_model.export_saved_model(model, path, dataset=digits)
    assert found["max_logit_difference"] <= 1e-5
    assert (found["same_class"], found["images"]) == (1.0, 256)
    assert json.loads((path / "metadata.json").read_text())["parity"] == found
    assert saved_model.measure_parity(path, student(seed=1), digits)["max_logit_difference"] > 1e-2


def test_a_mismatch_leaves_the_older_export(digits, tmp_path):
    path = tmp_path / "student"
    saved_model.export_saved_model(student(), path, dataset=digits)
    before = (path / "metadata.json").read_bytes()
    with pytest.raises(parity.ParityError, match="the SavedModel does not compute what the model does"):
        saved_model.export_saved_model(student(seed=1), path, dataset=digits, tolerance=-1.0)
    assert (path / "metadata.json").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["student"]


def test_a_network_inside_a_network_becomes_float32_too(digits, tmp_path):
    nested = keras.Sequential([keras.Input((8, 8, 1)), student(policy="mixed_bfloat16")])
    copy = signature.serving_network(nested)
    assert all(layer.compute_dtype == "float32" for layer in graph.all_layers(copy))
    saved_model.export_saved_model(nested, tmp_path / "student", dataset=digits)


def test_an_older_export_is_replaced_and_nothing_else_is(digits, tmp_path):
    path = tmp_path / "student"
    for seed in (0, 1):
        saved_model.export_saved_model(student(seed=seed), path, dataset=digits)
    assert saved_model.measure_parity(path, student(seed=1), digits)["max_logit_difference"] <= 1e-5
    assert [entry.name for entry in tmp_path.iterdir()] == ["student"]
    precious = tmp_path / "precious"
    precious.mkdir()
    with pytest.raises(FileExistsError, match="is no SavedModel"):
        saved_model.export_saved_model(student(), precious, dataset=digits)


def test_a_model_of_other_images_is_refused(digits, tmp_path):
    for network, message in (
        (student(shape=(9, 9, 1)), r"must take images of shape \(8, 8, 1\).*\(None, 9, 9, 1\)"),
        ("a.keras", "the model must be a keras.Model, read from its file"),
    ):
        with pytest.raises(ValueError, match=message):
            saved_model.export_saved_model(network, tmp_path / "student", dataset=digits)
    assert not list(tmp_path.iterdir())


def test_the_readme_of_saved_models_is_true():
    text = (ROOT / "saved_models" / "README.md").read_text()
    for name in ("serving_default", "metadata.json", "class_id", "uint8"):
        assert name in text


def test_the_probabilities_of_a_network_that_ends_in_softmax_are_its_own(digits, tmp_path):
    import tensorflow as tf

    scores = student()
    network = keras.Model(scores.inputs[0], keras.layers.Softmax()(scores.outputs[0]))
    saved_model.export_saved_model(network, tmp_path / "student", dataset=digits)
    serve = tf.saved_model.load(str(tmp_path / "student")).signatures["serving_default"]
    images = digits.test.images[:32]
    normalised = ((images / 255 - digits.mean) / digits.std).astype("float32")
    served = serve(image=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], network(normalised), atol=1e-6)
    np.testing.assert_allclose(served["logits"], scores(normalised), atol=1e-5)


def sums_of_feature_maps(folder):
    """Names of the sums of two tensors that both depend on the image, in the graph of a SavedModel."""
    import tensorflow as tf

    served = tf.saved_model.load(str(folder)).signatures["serving_default"].graph.as_graph_def()
    (body,) = served.library.function
    depend, sums = {"image"}, []
    for node in body.node_def:  # in the order of computing
        read = [name for name in node.input if name.split(":")[0] in depend]
        if read:
            depend.add(node.name)
        if node.op in ("Add", "AddV2", "AddN") and len(read) > 1:
            sums.append(node.name)
    assert len(depend) > 20  # the image was found
    return sums


@pytest.mark.parametrize(
    ("way", "fold"), [(None, True), (None, False), ("fade", False), ("merge", True), ("fade+merge", True)]
)
def test_what_is_left_of_a_network_is_exported_without_a_sum(way, fold, tmp_path):
    network = left_of(way) if way else shaken(resnet8())
    network = folding.fold_batch_norm(network) if fold else network
    signature.write_graph(network, tmp_path / "student", None)
    assert len(sums_of_feature_maps(tmp_path / "student")) == (0 if way else 3)
