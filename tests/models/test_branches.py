import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_kd
from keras_kd.models import branches, fading, weights
from tests.support.networks import shaken, user_network


def cifar(size, **options):
    return keras_kd.cifar_resnet(14, (size, size, 3), 4, width=4, shortcuts=False, **options)


def bottleneck(size):
    return keras_kd.imagenet_resnet(50, (size, size, 3), 4, width=2, shortcuts=False, stem="cifar")


def answers(network, *sizes):
    images = np.random.default_rng(0).normal(size=(4, sizes[0], sizes[-1], 3)).astype("float32")
    return ops.convert_to_numpy(network(images, training=False))


@pytest.mark.parametrize("size", [8, 9, 11])
@pytest.mark.parametrize("pointwise", [False, True])
def test_the_plain_network_computes_what_the_branches_did(size, pointwise):
    plain = cifar(size)
    before = [(weight.path, weight.shape) for weight in plain.weights]
    branched = shaken(branches.with_branches(plain, pointwise))
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, size), answers(branched, size), rtol=1e-4, atol=1e-4)
    assert [(weight.path, weight.shape) for weight in plain.weights] == before
    assert weights.structure(plain) == weights.structure(cifar(size))


@pytest.mark.parametrize("pointwise", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_plain_network_trains_on_from_the_statistics_of_the_sums(pointwise, rng):
    """Where moving averages have settled on a batch, training and inference compute the same of it."""
    plain = cifar(8)
    branched = shaken(branches.with_branches(plain, pointwise))
    images = rng.normal(size=(8, 8, 8, 3)).astype("float32")
    for _ in range(100):
        branched(images, training=True)
    branches.merge_branches(branched, plain)
    inferred = ops.convert_to_numpy(plain(images, training=False))
    np.testing.assert_allclose(inferred, branched(images, training=False), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(plain(images, training=True), inferred, rtol=2e-3, atol=2e-3)


def test_bottlenecks_have_branches_beside_their_3x3_convolutions():
    plain = bottleneck(8)
    branched = shaken(branches.with_branches(plain))
    beside = {layer.name for layer in branched.layers if layer.name.endswith("_identity_bn")}
    assert "stage1_block1_conv2_identity_bn" in beside
    assert not any("conv1" in name or "conv3" in name for name in beside)
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, 8), answers(branched, 8), rtol=1e-4, atol=1e-4)


def test_one_branched_convolution_is_the_sum_of_its_parts(rng):
    """Against NumPy, in float64: convolution by its definition, BatchNorm in inference."""
    plain = cifar(8)
    branched = shaken(branches.with_branches(plain, pointwise=True))
    taps = ("stage1_block1_conv1", "stage1_block1_conv1_sum")
    x = rng.normal(size=(2, 8, 8, 4))

    def value(name, part):
        return ops.convert_to_numpy(getattr(branched.get_layer(name), part)).astype(np.float64)

    def normed(z, name):
        norm = branched.get_layer(name)
        spread = np.sqrt(value(name, "moving_variance") + norm.epsilon)
        return value(name, "gamma") * (z - value(name, "moving_mean")) / spread + value(name, "beta")

    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = value(taps[0], "kernel")
    main = sum(padded[:, i : i + 8, j : j + 8] @ kernel[i, j] for i in range(3) for j in range(3))
    expected = normed(main, "stage1_block1_bn1") + normed(x, "stage1_block1_conv1_identity_bn")
    pointwise = value("stage1_block1_conv1_pointwise", "kernel")[0, 0]
    expected += normed(x @ pointwise, "stage1_block1_conv1_pointwise_bn")
    branches.merge_branches(branched, plain)
    merged = ops.convert_to_numpy(plain.get_layer(taps[0])(x.astype("float32")))
    found = ops.convert_to_numpy(plain.get_layer("stage1_block1_bn1")(merged, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def imagenet(height, width):
    return keras_kd.imagenet_resnet(18, (height, width, 3), 4, width=4, shortcuts=False)


@pytest.mark.parametrize(("build", "pointwise"), [(imagenet, True), (lambda *_: cifar(None), False)])
def test_images_may_be_oblong_and_of_open_size(build, pointwise):
    """Down to one row of two pixels, of which a stride of 2 makes one."""
    plain = build(8, 16)
    branched = shaken(branches.with_branches(plain, pointwise))
    beside = [layer.name for layer in branched.layers if layer.name.endswith("_identity_bn")]
    assert "stage2_block1_conv2_identity_bn" in beside
    assert "stage2_block1_conv1_identity_bn" not in beside
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, 8, 16), answers(branched, 8, 16), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strides", [(2, 3), (3, 1), (4, 4)])
@pytest.mark.parametrize("size", [3, 4, 5, 6, 7, 9])
def test_branches_may_have_any_stride_on_images_of_any_size(strides, size):
    """Against Keras's own convolutions."""
    image = keras.Input((size, size, 3))
    conv = layers.Conv2D(4, 3, strides=strides, padding="same", use_bias=False, name="stage1_block1_conv1")
    x = layers.BatchNormalization(name="stage1_block1_bn1")(conv(image))
    x = layers.Flatten()(layers.ReLU(name="stage1_block1_out")(x))
    plain = keras.Model(image, layers.Dense(4)(x))
    branched = shaken(branches.with_branches(plain, pointwise=True))
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, size), answers(branched, size), rtol=1e-4, atol=1e-4)


def test_a_tap_that_hangs_on_an_open_size_is_refused():
    with pytest.raises(
        ValueError, match="'stage2_block1_conv1', which makes images smaller.* leave merge_pointwise off"
    ):
        branches.with_branches(cifar(None), pointwise=True)


@pytest.mark.parametrize("pointwise", [False, True])
def test_in_preactivation_blocks_branches_merge_with_the_bn_of_the_next_block(pointwise):
    plain = keras_kd.wide_resnet(16, 1, (8, 8, 3), 4, shortcuts=False)
    assert branches.branched_pairs(plain)["stage1_block2_conv2"] == "stage2_block1_bn1"
    branched = shaken(branches.with_branches(plain, pointwise))
    beside = {layer.name for layer in branched.layers if layer.name.endswith("_identity_bn")}
    assert {"stage1_block1_conv1_identity_bn", "stage3_block2_conv2_identity_bn"} <= beside
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, 8), answers(branched, 8), rtol=1e-4, atol=1e-4)


def fading_wide():
    plain = keras_kd.wide_resnet(10, 1, (8, 8, 3), 4, shortcuts=False)
    return fading.with_fading_shortcuts(plain, [(0, 1)] * 3)


def partly_wide():
    return keras_kd.wide_resnet(16, 1, (8, 8, 3), 4, shortcuts=(False, True, *[False] * 4))


@pytest.mark.parametrize(("build", "reader"), [(fading_wide, "block1_fade"), (partly_wide, "block2_add")])
def test_a_shortcut_between_a_convolution_and_its_bn_is_refused(build, reader):
    with pytest.raises(ValueError, match=f"'stage1_block1_conv2' .*no shortcut, kept or fading.*{reader}"):
        branches.with_branches(build())


def test_the_biases_of_convolutions_are_merged_too():
    plain = user_network()
    branched = shaken(branches.with_branches(plain, pointwise=True))
    branches.merge_branches(branched, plain)
    np.testing.assert_allclose(answers(plain, 8), answers(branched, 8), rtol=1e-4, atol=1e-4)


def normed(**options):
    return lambda x: layers.BatchNormalization(name="stage1_block1_bn1", **options)(x)


def read_twice(x):
    return layers.Concatenate()([normed()(x), x])


@pytest.mark.parametrize(
    ("options", "behind", "message"),
    [
        ({"activation": "relu"}, normed(), "cannot be merged into it: .*no activation. Received: .*'relu'"),
        ({"padding": "valid"}, normed(), "cannot be merged into it: .*Received: {'padding': 'valid'"),
        ({"groups": 2}, normed(), "cannot be merged into it: .*'groups': 2"),
        ({}, lambda x: x, "needs a BatchNormalization behind it.*read by ReLU 'stage1_block1_out'"),
        (
            {},
            lambda x: normed()(layers.Dropout(0.1, name="drop")(x)),
            "alone reads it.* read by Dropout 'drop'",
        ),
        ({}, read_twice, "alone reads it, once.* by BatchNormalization 'stage1_block1_bn1', Concatenate"),
        ({}, normed(scale=False), "with scale and center, .* Received: .*'scale': False"),
        ({}, normed(center=False), "with scale and center, .* Received: .*'center': False"),
        ({}, normed(axis=1), "of the last axis. Received: 'stage1_block1_bn1' of .*'axis': 1"),
        (
            {},
            lambda x: layers.LayerNormalization(name="stage1_block1_bn1")(x),
            "read by LayerNormalization",
        ),
        (
            {"strides": 2},
            normed(),
            "no identity stands beside one: .*pointwise=False for .'stage1_block1_conv1'",
        ),
        ({"kernel_size": 5}, normed(), "no 3x3 convolution.* Received: blocks .'stage1_block1'"),
    ],
)
def test_what_could_not_be_merged_is_refused_before_training(options, behind, message):
    images = keras.Input((8, 8, 4))
    options = {"kernel_size": 3, "padding": "same", "use_bias": False, **options}
    conv = layers.Conv2D(4, name="stage1_block1_conv1", **options)
    x = layers.ReLU(name="stage1_block1_out")(behind(conv(images)))
    with pytest.raises(ValueError, match=message):
        branches.with_branches(keras.Model(images, layers.GlobalAveragePooling2D()(x)))
