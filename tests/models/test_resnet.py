import itertools
import json

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.models import block_specs, graph, resnet, weights
from tests.support.networks import same, weights_of


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# He et al. 2016, table 6 (millions, option A); exact counts follow from the structure.
@pytest.mark.parametrize(
    ("depth", "count", "published"),
    [
        (20, 269_722, 0.27),
        (56, 853_018, 0.85),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in ((32, 464_154, 0.46), (44, 658_586, 0.66), (110, 1_727_962, 1.7))
        ),
    ],
)
def test_cifar_parameters(depth, count, published):
    found = trainable(keras_kd.cifar_resnet(depth))
    assert found == count
    assert found / 1e6 == pytest.approx(published, abs=0.05 if published == 1.7 else 0.006)


# torchvision's published counts of the same networks (option B, 1000 classes).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "count"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_imagenet_parameters(depth, count):
    assert trainable(keras_kd.imagenet_resnet(depth)) == count


# Zagoruyko & Komodakis 2016, tables 4 and 5 (millions, 10 classes).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "widen", "published", "tolerance"),
    [(16, 2, 0.69, 0.01), (28, 10, 36.5, 0.05), (40, 4, 8.9, 0.1)],
)
def test_wide_parameters(depth, widen, published, tolerance):
    assert trainable(keras_kd.wide_resnet(depth, widen)) / 1e6 == pytest.approx(published, abs=tolerance)


def specs(model):
    return [(weight.path, tuple(weight.shape)) for weight in model.weights]


@pytest.mark.parametrize(
    "build",
    [
        lambda **kw: keras_kd.cifar_resnet(14, (8, 8, 1), projection="pad", **kw),
        lambda **kw: keras_kd.imagenet_resnet(
            18, (16, 16, 3), 5, width=4, projection="pad", stem="cifar", **kw
        ),
        lambda **kw: keras_kd.imagenet_resnet(50, (16, 16, 3), 5, width=4, projection="pad", **kw),
    ],
)
def test_twins_have_the_same_weights_name_for_name(build):
    assert specs(build(shortcuts=True)) == specs(build(shortcuts=False))


def test_twins_of_one_seed_start_from_the_same_weights():
    twins = []
    for shortcuts in (True, False):
        keras.utils.set_random_seed(7)
        twins.append(keras_kd.cifar_resnet(14, (8, 8, 1), shortcuts=shortcuts))
    assert same(*map(weights_of, twins))


def test_shortcuts_off_one_by_one_is_the_plain_network(rng):
    x = rng.normal(size=(4, 8, 8, 1)).astype("float32")
    plain = keras_kd.cifar_resnet(14, (8, 8, 1), shortcuts=False)
    off = keras_kd.cifar_resnet(14, (8, 8, 1), shortcuts=[False] * 6)
    on = keras_kd.cifar_resnet(14, (8, 8, 1), shortcuts=True)
    for other in (off, on):
        weights.copy_weights(plain, other)
    outputs = [model.predict(x, verbose=0) for model in (plain, off, on)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-3


def test_the_pad_shortcut_subsamples_and_appends_zeros(rng):
    x = rng.normal(size=(2, 9, 9, 3)).astype("float32")
    image = keras.Input((9, 9, 3))
    block = block_specs.BlockSpec("stage2_block1", "basic", 3, 5, 5, 2)
    out = keras.Model(image, resnet.PROJECTIONS["pad"](image, block)).predict(x, verbose=0)
    np.testing.assert_array_equal(out[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(out[..., 3:], 0)


def test_one_block_is_what_the_paper_draws(rng):
    """A residual block by hand: relu(x + BN(conv(relu(BN(conv(x)))))), with BN at its start values."""
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    tapped = graph.feature_extractor(model, ["stem_relu", "stage1_block1_bn2", "stage1_block1_out"])
    outputs = tapped.predict(rng.normal(size=(2, 8, 8, 1)).astype("float32"), verbose=0)
    expected = np.maximum(outputs["stem_relu"] + outputs["stage1_block1_bn2"], 0)
    np.testing.assert_allclose(outputs["stage1_block1_out"], expected, atol=1e-6)


def test_per_block_shortcuts_switch_single_adds():
    shortcuts = [True, False, True]
    model = keras_kd.cifar_resnet(8, (8, 8, 1), shortcuts=shortcuts)
    names = {layer.name for layer in model.layers}
    plan = keras_kd.block_plan("cifar", 8)
    assert [f"{block.name}_add" in names for block in plan] == shortcuts


@pytest.mark.parametrize(("size", "channels", "shortcuts"), [(8, 1, False), (9, 3, True), (33, 1, True)])
def test_any_image_from_8x8_up(rng, size, channels, shortcuts):
    shape = (size, size, channels)
    for model in (
        keras_kd.cifar_resnet(8, shape, 4, width=4, shortcuts=shortcuts, projection="conv", dropout=0.1),
        keras_kd.imagenet_resnet(18, shape, 4, width=4, shortcuts=shortcuts),
        keras_kd.wide_resnet(10, 1, shape, 4, shortcuts=shortcuts, dropout=0.1),
    ):
        logits = keras.ops.convert_to_numpy(model(rng.normal(size=(2, *shape)).astype("float32")))
        assert logits.shape == (2, 4)
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_logits_stay_float32_under_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    assert model.get_layer("stage1_block1_conv1").compute_dtype != "float32"


def test_the_plan_is_what_is_built():
    for plan, model in (
        (keras_kd.block_plan("cifar", 14, width=4), keras_kd.cifar_resnet(14, (32, 32, 3), width=4)),
        (keras_kd.block_plan("imagenet", 50, width=4), keras_kd.imagenet_resnet(50, (64, 64, 3), width=4)),
    ):
        tapped = [model.get_layer(f"{block.name}_out").output.shape for block in plan]
        assert [shape[-1] for shape in tapped] == [block.out_channels for block in plan]
        assert [a[1] // b[1] for a, b in itertools.pairwise(tapped)] == [block.stride for block in plan[1:]]
    assert len(keras_kd.block_plan("wide", 28, widen=10)) == 12


@pytest.mark.parametrize("depth", [0, 7, 19, 21, -4, 2, 20.0, "20"])
def test_a_depth_that_is_not_6n_plus_2_is_named(depth):
    with pytest.raises(ValueError, match=rf"6n\+2.*Received: depth={depth!r}"):
        keras_kd.cifar_resnet(depth)


def test_sizes_are_numbers_of_any_type():
    sizes = {"num_classes": np.int64(4), "width": np.uint8(4), "dropout": np.float32(0.5)}
    given = keras_kd.cifar_resnet(np.int64(8), (8, 8, 1), **sizes)
    plain = keras_kd.cifar_resnet(8, (8, 8, 1), num_classes=4, width=4, dropout=0.5)
    for one, other in zip(given.layers, plain.layers, strict=True):
        configs = [json.dumps({**each.get_config(), "name": ""}) for each in (one, other)]
        assert configs[0] == configs[1]
    assert keras_kd.block_plan("wide", np.int32(10), widen=np.int8(2)) == keras_kd.block_plan(
        "wide", 10, widen=2
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: keras_kd.wide_resnet(17, 2), r"6n\+4.*Received: depth=17"),
        (lambda: keras_kd.imagenet_resnet(20), r"one of \[18, 34, 50, 101, 152\].*Received: depth=20"),
        (lambda: keras_kd.cifar_resnet(8, shortcuts=[True]), "3 bools, one per block.*Received: 1 values"),
        (lambda: keras_kd.cifar_resnet(8, projection="b"), "projection must be one of.*'b'"),
        (lambda: keras_kd.cifar_resnet(8, (7, 8, 1)), r"at least 8x8.*\(7, 8, 1\)"),
        (lambda: keras_kd.cifar_resnet(8, dropout=1.0), "dropout must lie in"),
        (lambda: keras_kd.cifar_resnet(8, width=0), "width must be a whole number"),
        (lambda: keras_kd.cifar_resnet(8, num_classes=0), "num_classes must be a whole number"),
        (lambda: keras_kd.imagenet_resnet(18, stem="x"), "stem must be one of"),
        (lambda: keras_kd.block_plan("vgg", 16), "family must be one of.*'vgg'"),
    ],
)
def test_wrong_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.slow
def test_resnet_1202_builds():
    model = keras_kd.cifar_resnet(1202)
    # He et al. 2016, table 6: 19.4 million.
    assert trainable(model) / 1e6 == pytest.approx(19.4, abs=0.05)
