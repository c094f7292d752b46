"""Networks of keras.applications: fed with normalised images, scaled as their families scale them."""

import types

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets
from keras_kd.models import graph, registry, stages
from keras_kd.models.applications import PIXELS, applications

MEAN, STD = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
SMALL = {"mean": MEAN, "std": STD, "alpha": 0.35}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return applications("MobileNetV2", (32, 32, 3), 4, **SMALL)


def pixels(count=2, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, channels)).astype("float64")


def test_it_computes_what_keras_does_of_pixels_in_the_familys_own_scale(network):
    """MobileNetV2's is -1 to 1."""
    keras.utils.set_random_seed(0)
    own = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    normalised = (pixels() / 255 - MEAN) / STD
    found, wanted = network(normalised.astype("float32")), own((pixels() / 127.5 - 1).astype("float32"))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert network.output.dtype == "float32"
    assert network.name == "MobileNetV2"


def test_stages_begin_behind_the_pixels_and_end_before_the_head(network):
    assert stages.stage_ends(network) == {
        (16, 16): "block_1_expand_relu",
        (8, 8): "block_3_expand_relu",
        (4, 4): "block_6_expand_relu",
        (2, 2): "block_13_expand_relu",
        (1, 1): "out_relu",
    }
    gated = applications("MobileNetV3Small", (32, 32, 3), 4, mean=MEAN, std=STD)
    ends = stages.stage_ends(gated)
    assert list(ends) == [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    pool = [each for each in gated.layers if isinstance(each, keras.layers.GlobalAveragePooling2D)][-1]
    assert ends[1, 1] == graph.layer_before(gated, pool).name


# What each family makes of the pixels 0, 100 and 255 in red, green and blue, in float64.
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
COLOUR = np.array([0.0, 100.0, 255.0])
SCALED = {
    "ResNet50": COLOUR[::-1] - np.array([103.939, 116.779, 123.68]),
    "DenseNet121": (COLOUR / 255 - IMAGENET_MEAN) / IMAGENET_STD,
    "Xception": COLOUR / 127.5 - 1,
    "MobileNetV3Small": COLOUR,  # the network itself begins with a Rescaling
    "EfficientNetV2B0": COLOUR,
}


@pytest.mark.parametrize("architecture", SCALED)
def test_each_family_scales_in_its_own_way(architecture, monkeypatch):
    seen = {}

    def stub(input_tensor, **options):
        seen["scaled"] = input_tensor
        return types.SimpleNamespace(outputs=[keras.layers.GlobalAveragePooling2D()(input_tensor)])

    monkeypatch.setattr(keras.applications, architecture, stub)
    model = applications(architecture, (32, 32, 3), 3, mean=MEAN, std=STD)
    normalised = np.broadcast_to((COLOUR / 255 - MEAN) / STD, (1, 32, 32, 3))
    found = keras.Model(model.input, seen["scaled"])(normalised.astype("float32"))
    np.testing.assert_allclose(found[0, 5, 5], SCALED[architecture], rtol=1e-5, atol=1e-4)


def test_grey_images_are_repeated(network):
    grey = applications("MobileNetV2", (32, 32, 1), 4, mean=MEAN[:1], std=STD[:1], alpha=0.35)
    grey.set_weights(network.get_weights())
    values = pixels(channels=1)
    as_colour = (np.repeat(values, 3, axis=-1) / 255 - MEAN) / STD
    found, wanted = (
        grey(((values / 255 - MEAN[:1]) / STD[:1]).astype("float32")),
        network(as_colour.astype("float32")),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_a_spec_builds_it_for_a_dataset(tmp_path):
    labels = np.arange(40) % 4
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    dataset = datasets.load(str(tmp_path / "x.npz"))
    model = registry.build_for("applications:MobileNetV2:alpha=0.35", dataset)
    np.testing.assert_allclose(model.get_layer(PIXELS).scale, 255 * dataset.std, rtol=1e-6)
    assert registry.with_shortcuts("applications:MobileNetV2") is None
    assert not registry.lacks_shortcuts("applications:MobileNetV2")


@pytest.mark.slow
def test_its_file_is_read_in_safe_mode(network, tmp_path):
    keras_kd.models.save_model(network, tmp_path / "a.keras")
    read = keras_kd.models.load_model(tmp_path / "a.keras")
    images = pixels().astype("float32")
    np.testing.assert_array_equal(read(images), network(images))


def test_logits_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = applications("MobileNetV2", (32, 32, 3), 4, **SMALL)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("Conv1").compute_dtype == "bfloat16"
    assert network.get_layer(PIXELS).compute_dtype == "float32"  # bfloat16 does not hold 255 grey values
    assert network.output.dtype == "float32"


@pytest.mark.slow
def test_trained_layers_come_from_a_file_and_get_a_new_head(tmp_path):
    keras.utils.set_random_seed(1)
    backbone = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    network = applications(
        "MobileNetV2", (32, 32, 3), 7, weights=str(tmp_path / "backbone.weights.h5"), **SMALL
    )
    found = {weight.path: np.array(weight) for weight in network.weights}
    for weight in backbone.weights:
        np.testing.assert_array_equal(found.pop(weight.path), weight)
    assert {name: array.shape for name, array in found.items()} == {
        "head_logits/kernel": (1280, 7),
        "head_logits/bias": (7,),
    }


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (
            "applications:MobileNetV5",
            (32, 32, 3),
            "keras.applications has no 'MobileNetV5': did you mean 'MobileNetV",
        ),
        (
            "applications:ResNet50:alpha=0.5",
            (32, 32, 3),
            "applications:ResNet50 has no option 'alpha': there are weights",
        ),
        (
            "applications:MobileNetV2:classes=3",
            (32, 32, 3),
            "has no option 'classes': there are weights, alpha",
        ),
        ("applications:MobileNetV2:mean=3", (32, 32, 3), "has no option 'mean'"),
        (
            "applications:MobileNetV2",
            (8, 8, 3),
            "applications:MobileNetV2: Input size must be at least 32x32",
        ),
        ("applications:MobileNetV2:weights=x.h5", (32, 32, 3), "weights must be none, imagenet, or the path"),
        ("applications", (32, 32, 3), "applications takes 1 sizes, architecture"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(spec, shape, message):
    with pytest.raises(ValueError, match=message) as caught:
        registry.build(spec, shape, 4)
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_downloaded_are_told_in_one_line(monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://x/y.h5:\nNone -- Name or service not known")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ValueError, match="MobileNetV2 with weights=imagenet: URL fetch failure .* not known"):
        applications("MobileNetV2", (32, 32, 3), 4, weights="imagenet")
