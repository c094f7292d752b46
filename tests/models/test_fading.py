import contextlib

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_kd
from keras_kd.distillation import shortcut_removal
from keras_kd.models import branches, fading, rebuilding, weights
from tests.support.networks import shaken, user_network

SHAPE = (8, 8, 3)


def cifar(shortcuts):
    return keras_kd.cifar_resnet(14, SHAPE, 4, width=4, shortcuts=shortcuts)


def bottleneck(shortcuts):
    return keras_kd.imagenet_resnet(
        50, SHAPE, 4, width=2, shortcuts=shortcuts, projection="pad", stem="cifar"
    )


def wide(shortcuts):
    return keras_kd.wide_resnet(10, 1, SHAPE, 4, shortcuts=shortcuts)


def images(rows=4):
    return np.random.default_rng(0).normal(size=(rows, *SHAPE)).astype("float32")


def answers(network):
    return ops.convert_to_numpy(network(images(), training=False))


@pytest.mark.parametrize("build", [cifar, pytest.param(bottleneck, marks=pytest.mark.slow)])
def test_open_gates_are_the_residual_network_and_closed_ones_the_plain_one(build):
    plain = shaken(build(False))
    residual = build(True)
    weights.copy_weights(plain, residual)
    count = len(fading.plain_blocks(plain))
    faded = fading.with_fading_shortcuts(plain, [(1, 1)] * count)
    np.testing.assert_allclose(answers(faded), answers(residual), atol=1e-4)
    for shortcut in fading.fading_shortcuts(faded):
        shortcut.step.assign(1)
    np.testing.assert_allclose(answers(faded), answers(plain), atol=1e-4)


@pytest.mark.parametrize("build", [cifar, pytest.param(bottleneck, marks=pytest.mark.slow), wide])
def test_what_is_left_is_the_plain_network_weight_for_weight(build):
    plain = shaken(build(False))
    spans = [(0, 0)] * len(fading.plain_blocks(plain))
    left = fading.remove_shortcuts(fading.with_fading_shortcuts(plain, spans))
    assert [weight.path for weight in left.weights] == [weight.path for weight in plain.weights]
    assert weights.structure(left) == weights.structure(plain)
    assert weights.digest(left) == weights.digest(plain)
    np.testing.assert_allclose(answers(left), answers(plain), atol=1e-5)


def test_the_shortcuts_of_a_residual_network_are_removed_with_their_projections():
    residual = shaken(keras_kd.imagenet_resnet(18, SHAPE, 4, width=4, stem="cifar"))
    plain = keras_kd.imagenet_resnet(18, SHAPE, 4, width=4, stem="cifar", shortcuts=False)
    left = fading.remove_shortcuts(residual, name=plain.name)
    weights.copy_by_layer(residual, plain)
    assert weights.structure(left) == weights.structure(plain)
    np.testing.assert_allclose(answers(left), answers(plain), atol=1e-5)


@pytest.mark.parametrize("curve", fading.CURVES)
def test_a_gate_follows_its_curve_and_counts_training_alone(curve):
    shortcut = fading.FadingShortcut(2, 6, curve)
    skip, branch = np.full((2, 4, 4, 3), 3.0, "float32"), np.ones((2, 4, 4, 3), "float32")
    found = []
    for _ in range(8):
        shortcut([skip, branch], training=False)
        found.append(float(np.mean(shortcut([skip, branch], training=True))))
    done = np.clip((np.arange(8) - 2) / 4, 0, 1)
    gates = 1 - done if curve == "linear" else (1 + np.cos(np.pi * done)) / 2
    np.testing.assert_allclose(found, 1 + 3 * gates, atol=1e-6)


@pytest.mark.parametrize("size", [4, 5])
def test_a_skip_is_subsampled_and_gets_zero_channels(size, rng):
    skip = rng.normal(size=(2, size, size, 3)).astype("float32")
    half = -(-size // 2)
    branch = rng.normal(size=(2, half, half, 5)).astype("float32")
    found = ops.convert_to_numpy(fading.FadingShortcut(9, 9)([skip, branch]))
    expected = branch.copy()
    expected[..., :3] += skip[:, ::2, ::2]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_fading_network_is_saved_with_its_gates(tmp_path):
    plain = cifar(False)
    faded = fading.with_fading_shortcuts(plain, [(0, 10)] * 6)
    faded(images(), training=True)
    faded.save(tmp_path / "faded.keras")
    read = keras.saving.load_model(tmp_path / "faded.keras")
    assert [int(each.step) for each in fading.fading_shortcuts(read)] == [1] * 6
    np.testing.assert_array_equal(answers(read), answers(faded))


@pytest.fixture
def mixed_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "begin",
    [
        lambda plain: fading.with_fading_shortcuts(plain, [(0, 0)] * 6),
        lambda plain: branches.with_branches(plain, pointwise=True),
    ],
)
def test_what_is_put_in_computes_in_the_precision_of_its_block(begin, request):
    """A student may be a file of another precision than that of the training."""
    plain = cifar(False)
    request.getfixturevalue("mixed_bfloat16")
    computing = [each for each in begin(plain).layers if not isinstance(each, layers.InputLayer)]
    assert {each.compute_dtype for each in computing} == {"float32"}


def test_what_has_no_height_and_width_is_refused():
    steps = keras.Input((8, 4))
    x = layers.Conv1D(4, 3, padding="same", strides=2, name="stage1_block1_conv1")(steps)
    x = layers.BatchNormalization(name="stage1_block1_bn1")(x)
    plain = keras.Model(steps, layers.ReLU(name="stage1_block1_out")(x))
    with pytest.raises(ValueError, match=r"maps \[batch, height, width, channels\].*\(None, 8, 4\) and"):
        shortcut_removal.make("fade").check(plain, independent=False)


def test_channels_that_come_first_are_refused():
    maps = keras.Input((4, 8, 8))
    norm = layers.BatchNormalization(axis=1, name="stage1_block1_bn1")(maps)
    x = layers.Activation("relu", name="stage1_block1_relu1")(norm)
    conv = layers.Conv2D(4, 3, padding="same", data_format="channels_first", name="stage1_block1_conv1")
    second = layers.Conv2D(4, 3, padding="same", data_format="channels_first", name="stage1_block1_conv2")
    plain = keras.Model(maps, second(conv(x)))
    with pytest.raises(ValueError, match="'stage1_block1_conv2' .*maps of channels first"):
        shortcut_removal.make("fade").check(plain, independent=False)


def test_layers_that_are_called_by_keyword_fade_alike():
    images = keras.Input(SHAPE)
    x = layers.Conv2D(3, 3, padding="same", name="stage1_block1_conv1")(inputs=images)
    x = layers.BatchNormalization(name="stage1_block1_bn1")(inputs=x)
    x = layers.PReLU(name="stage1_block1_out")(inputs=x)
    plain = shaken(keras.Model(images, layers.Flatten()(x)))
    for begin in (fading.with_fading_shortcuts, lambda *given: branches.with_branches(given[0])):
        begin(plain, [(1, 1)])
    left = fading.remove_shortcuts(fading.with_fading_shortcuts(plain, [(0, 0)]))
    np.testing.assert_allclose(answers(left), answers(plain), atol=1e-5)


@pytest.mark.parametrize("name", ["fade", "merge", "blockwise", "tails"])
def test_branches_that_are_not_merged_are_refused(name):
    """What is left would have sums."""
    student = branches.with_branches(cifar(False))
    with pytest.raises(ValueError, match="sums, such as 'stage1_block1_conv1_sum'.*merge_branches folds"):
        shortcut_removal.make(name).check(student, cifar(True), independent=False)


def test_maps_of_open_size_are_refused_in_a_step():
    maps = keras.Input((None, None, 4))
    shortcut = fading.FadingShortcut(0, 4)
    shortcut.build([maps.shape, maps.shape])
    with pytest.raises(
        ValueError, match=r"height and width of its maps: give .*shapes \(None, None, None, 4\)"
    ):
        shortcut.call([maps, maps])


def test_a_sequential_network_fades_like_a_functional_one():
    plain = shaken(
        keras.Sequential(
            [
                keras.Input((4, 4, 2)),
                layers.Conv2D(4, 3, padding="same", name="stage1_block1_conv1"),
                layers.BatchNormalization(name="stage1_block1_bn1"),
                layers.ReLU(name="stage1_block1_out"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(3),
            ]
        )
    )
    left = fading.remove_shortcuts(fading.with_fading_shortcuts(plain, [(0, 0)]))
    assert weights.digest(left) == weights.digest(plain)


def test_what_has_no_blocks_is_refused():
    with pytest.raises(ValueError, match="no shortcut to lose.*shortcuts=False"):
        fading.with_fading_shortcuts(cifar(True), [])
    flat = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(4)])
    with pytest.raises(ValueError, match="no blocks of keras_kd.models"):
        fading.remove_shortcuts(flat)
    branched = branches.with_branches(cifar(False))
    with pytest.raises(ValueError, match="such as 'stage1_block1_conv1_sum': .*merge_branches"):
        fading.remove_shortcuts(branched)
    with pytest.raises(ValueError, match="one pair of steps for each block .*, 6 of .* Received: 2 spans"):
        fading.with_fading_shortcuts(cifar(False), [(0, 1)] * 2)
    with pytest.raises(ValueError, match="before it closes. Received: first=3, last=2"):
        fading.FadingShortcut(3, 2)


def add(*inputs, name):
    return layers.Add(name=f"{name}_add")(list(inputs))


@pytest.mark.parametrize(
    "combine", [lambda skip, x, name: add(skip, x, name=name), lambda skip, x, name: add(x, skip, name=name)]
)
def test_the_skip_is_what_does_not_come_from_the_convolutions(combine):
    residual, plain = shaken(user_network(combine)), user_network()
    weights.copy_by_layer(residual, plain)
    np.testing.assert_allclose(answers(fading.remove_shortcuts(residual)), answers(plain), atol=1e-5)


@pytest.mark.parametrize(
    "combine",
    [
        lambda skip, x, name: add(skip, x, layers.ReLU()(skip), name=name),
        lambda skip, x, name: add(layers.ReLU()(x), x, name=name),
    ],
)
def test_a_sum_of_unclear_parts_is_refused(combine):
    with pytest.raises(
        ValueError, match="'stage1_block1_add' of .* must add, in one call, .*_conv1'.* Received"
    ):
        fading.remove_shortcuts(user_network(combine))


def inside(skip, x, name):
    shapes = keras.Input(skip.shape[1:]), keras.Input(x.shape[1:])
    return keras.Model(shapes, layers.Add(name=f"{name}_inner")(shapes), name=f"{name}_model")([skip, x])


@pytest.mark.parametrize(
    ("combine", "sum_name"), [(lambda skip, x, name: skip + x, "add"), (inside, "stage1_block1_inner")]
)
def test_sums_that_would_stay_are_refused(combine, sum_name):
    keras.utils.clear_session()
    model = user_network(combine)
    with pytest.raises(
        ValueError, match=f"sums .*such as '{sum_name}.*name that of a block as stage1_block1_add"
    ):
        fading.remove_shortcuts(model)
    with pytest.raises(ValueError, match=f"sums, such as '{sum_name}.* would stay"):
        fading.with_fading_shortcuts(model, [(0, 9)] * 2)
    with pytest.raises(ValueError, match=f"sums, such as '{sum_name}.* would stay"):
        branches.with_branches(model)


@pytest.mark.parametrize(
    "again",
    [
        lambda model: fading.with_fading_shortcuts(model, [(0, 0)] * 2),
        lambda model: fading.remove_shortcuts(fading.with_fading_shortcuts(model, [(0, 0)] * 2)),
    ],
)
def test_all_outputs_are_kept(again):
    model = shaken(user_network(ends=(("logits", 4), ("second", 2))))
    found, expected = again(model)(images()), model(images())
    assert [each.shape[-1] for each in found] == [4, 2]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def called(times, channels=3, padding="same"):
    image = x = keras.Input(SHAPE)
    conv = layers.Conv2D(channels, 3, padding=padding, name="stage1_block1_conv1")
    relu = layers.ReLU(name="stage1_block1_out")
    for _ in range(times):
        x = relu(conv(x))
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)), name="mine")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: called(2), "called once: .*Received: 'mine', which calls 'stage1_block1_conv1' 2 times"),
        (lambda: called(1, channels=2), "cannot add the skip .* .None, 8, 8, 3. and .None, 8, 8, 2."),
        (lambda: called(1, padding="valid"), "cannot add the skip .* .None, 8, 8, 3. and .None, 6, 6, 3."),
    ],
)
def test_blocks_that_no_shortcut_can_fade_around_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        fading.with_fading_shortcuts(model(), [(0, 9)])


class Remembering(layers.Layer):
    """Computes with what no weight and no setting says, so that a copy lacks it."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * inputs


@pytest.mark.parametrize(("last", "is_checked"), [(0, True), (9, False)])
def test_where_gates_are_closed_removal_is_checked_to_change_nothing(last, is_checked):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stage1_block1_conv1")(image)
    x = layers.ReLU(name="stage1_block1_out")(Remembering(name="stage1_block1_memory")(x))
    plain = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    faded = fading.with_fading_shortcuts(plain, [(0, last)])
    fading.remove_shortcuts(faded)
    faded.get_layer("stage1_block1_memory").factor = 3.0
    refused = pytest.raises(rebuilding.UnequalNetworksError, match="does not compute what")
    with refused if is_checked else contextlib.nullcontext():
        fading.remove_shortcuts(faded)


def test_gates_of_a_network_inside_another_are_seen():
    """Else it would be trained in the middle of fading, and none told of it."""
    plain = keras_kd.cifar_resnet(8, SHAPE, 4, width=2, shortcuts=False)
    inside = fading.with_fading_shortcuts(plain, [(4, 8)] * 3)
    around = keras.Sequential([layers.Rescaling(1 / 255), inside])
    around.build((None, *SHAPE))
    assert fading.mean_gate(around) == 1.0
    with pytest.raises(ValueError, match="fade already: take remove_shortcuts of it first"):
        fading.with_fading_shortcuts(inside, [(4, 8)] * 3)
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        shortcut_removal.make("none").check_student(around, independent=False)
