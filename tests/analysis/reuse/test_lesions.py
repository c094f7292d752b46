import functools
import itertools

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.analysis.reuse import lesion_plan, lesions
from keras_kd.models import serialization
from keras_kd.utils import backend
from tests.support.networks import mlp, same, shaken, weights_of

SMALL = ((8, 8, 1), 4)
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def examined(lesioned, images, labels, blocks=None, **drawn):
    """The `LesionResults` of all lesions of a plan."""
    plan = lesion_plan.plan_lesions(blocks or lesioned.silenceable, lesioned.swappable, **drawn)
    return plan.results(
        lesioned.accuracy(images, labels, each.silenced, each.swapped, 256) for each in plan.lesions
    )


def basic(depth=8, **options):
    return shaken(keras_kd.cifar_resnet(depth, *SMALL, width=4, **options))


@functools.cache
def bottleneck():
    return shaken(keras_kd.imagenet_resnet(50, *SMALL, width=1, stem="cifar"))


@functools.cache
def bottleneck_patient():
    return lesions.LesionedModel(bottleneck())


def preactivation(**options):
    return shaken(keras_kd.wide_resnet(16, 1, *SMALL, **options))


def answers(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def copy_of(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def zeroed(model, layer, *weights):
    """A copy of the model with some weights of a layer set to 0."""
    copy = copy_of(model)
    for name in weights:
        variable = getattr(copy.get_layer(layer), name)
        variable.assign(np.zeros(variable.shape))
    return copy


def without(model, block, images):
    """The answer of a network that is a chain, with the layers of a block left out."""
    x = images
    for layer in model.layers[1:]:
        if not layer.name.startswith(f"{block}_"):
            x = layer(x, training=False)
    return keras.ops.convert_to_numpy(x)


MAKERS = [
    basic,
    lambda: basic(shortcuts=False),
    lambda: basic(shortcuts=[True, False, True], projection="conv", dropout=0.5),
    bottleneck,
    preactivation,
    lambda: preactivation(shortcuts=False, dropout=0.5),
]


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, marks=pytest.mark.slow) if make is bottleneck else make for make in MAKERS],
    ids=["basic", "plain", "partial", "bottleneck", "wide", "plain_wide"],
)
def test_a_patient_without_lesions_answers_like_the_network(data, make):
    model = make()
    copy = lesions.switchable(model)
    patient = bottleneck_patient() if model is bottleneck() else lesions.LesionedModel(model)
    np.testing.assert_array_equal(answers(copy, data[0]), answers(model, data[0]))
    np.testing.assert_allclose(patient.logits(data[0], batch_size=10), answers(model, data[0]), **CLOSE)
    assert copy.count_params() == model.count_params() + len(patient.silenceable)


# --------------------------------------------------------------------------- silenced blocks


def test_silencing_a_residual_block_leaves_its_skip(data):
    wide = preactivation()
    for model, patient, last, weights in (
        (basic(), lesions.LesionedModel(basic()), "bn2", ("gamma", "beta")),
        (bottleneck(), bottleneck_patient(), "bn3", ("gamma", "beta")),
        (wide, lesions.LesionedModel(wide), "conv2", ("kernel",)),
    ):
        assert patient.silenceable == patient.blocks
        for block in patient.blocks[:: len(patient.blocks) // 3]:
            expected = answers(zeroed(model, f"{block}_{last}", *weights), data[0])
            np.testing.assert_allclose(patient.logits(data[0], silenced=[block]), expected, **CLOSE)
            assert not np.allclose(expected, answers(model, data[0]), **CLOSE)


def test_silencing_several_blocks_silences_each(data):
    model = basic()
    blocks = ["stage3_block1", "stage1_block1", "stage3_block1"]
    expected = zeroed(zeroed(model, f"{blocks[0]}_bn2", "gamma", "beta"), f"{blocks[1]}_bn2", "gamma", "beta")
    found = lesions.LesionedModel(model).logits(data[0], silenced=blocks)
    np.testing.assert_allclose(found, answers(expected, data[0]), **CLOSE)


def test_silencing_a_plain_block_leaves_it_out(data):
    for model in (basic(14, shortcuts=False), preactivation(shortcuts=False)):
        patient = lesions.LesionedModel(model)
        assert {"stage1_block2", "stage2_block2", "stage3_block2"} <= set(patient.silenceable)
        for block in patient.silenceable:
            found = patient.logits(data[0], silenced=[block])
            np.testing.assert_allclose(found, without(model, block, data[0]), **CLOSE)


def test_each_block_of_a_partial_network_is_silenced_in_its_way(data):
    model = basic(14, shortcuts=[True, False, False, False, True, True])
    patient = lesions.LesionedModel(model)
    assert patient.silenceable == tuple(block for block in patient.blocks if block != "stage2_block1")
    chain = basic(14, shortcuts=False)  # the same weights, name for name
    patient_of_chain = lesions.LesionedModel(chain)
    residual = answers(zeroed(model, "stage1_block1_bn2", "gamma", "beta"), data[0])
    np.testing.assert_allclose(patient.logits(data[0], silenced=["stage1_block1"]), residual, **CLOSE)
    layers = {layer.name for layer in lesions.switchable(model).layers}
    assert {"stage1_block2_switch", "stage2_block2_switch"} <= layers
    plain = patient_of_chain.logits(data[0], silenced=["stage1_block2"])
    np.testing.assert_allclose(plain, without(chain, "stage1_block2", data[0]), **CLOSE)


def test_a_block_that_nothing_can_replace_is_refused():
    patient = lesions.LesionedModel(basic(14, shortcuts=False))
    images = np.zeros((2, 8, 8, 1), "float32")
    message = (
        "stage2_block1 of 'resnet14_plain' changes the shape of its input, so without shortcut nothing can "
        "take its place; can be silenced: stage1_block1, stage1_block2, stage2_block2, stage3_block2"
    )
    with pytest.raises(ValueError, match=message):
        patient.logits(images, silenced=["stage1_block1", "stage2_block1"])
    with pytest.raises(ValueError, match="no such block. Received: 'stage9_block1'"):
        patient.logits(images, silenced=["stage9_block1"])


def test_a_network_of_other_layers_has_nothing_to_silence():
    subclassed = type("Subclassed", (keras.Model,), {})(name="subclassed")
    for model in (mlp(name="other"), subclassed):
        with pytest.raises(ValueError, match=f"model '{model.name}' has no blocks to silence"):
            lesions.LesionedModel(model)


# --------------------------------------------------------------------------- swapped blocks


def swapped_by_hand(model, one, other):
    copy = copy_of(model)
    for layer in model.layers:
        if layer.name.startswith(f"{one}_"):
            partner = copy.get_layer(layer.name.replace(one, other))
            mine = copy.get_layer(layer.name)
            first, second = mine.get_weights(), partner.get_weights()
            mine.set_weights(second)
            partner.set_weights(first)
    return copy


def test_swapping_exchanges_the_weights_of_two_blocks(data):
    for model in (basic(14), basic(14, shortcuts=False)):
        patient = lesions.LesionedModel(model)
        assert patient.swappable == (("stage1_block1", "stage1_block2"),)
        expected = swapped_by_hand(model, "stage1_block1", "stage1_block2")
        assert not same(weights_of(expected), weights_of(model))
        found = patient.logits(data[0], swapped=[("stage1_block2", "stage1_block1")])
        np.testing.assert_allclose(found, answers(expected, data[0]), **CLOSE)


def test_swaps_follow_each_other(data):
    model, patient = bottleneck(), bottleneck_patient()
    one, two, three = (f"stage3_block{index}" for index in (2, 3, 4))
    expected = swapped_by_hand(swapped_by_hand(model, one, two), two, three)
    found = patient.logits(data[0], swapped=[(one, two), (two, three)])
    np.testing.assert_allclose(found, answers(expected, data[0]), **CLOSE)
    assert not np.allclose(found, patient.logits(data[0], swapped=[(two, three), (one, two)]), **CLOSE)


def test_a_silenced_place_stays_silent_whatever_is_swapped_into_it(data):
    model = basic(14)
    pair = ("stage1_block1", "stage1_block2")
    expected = zeroed(swapped_by_hand(model, *pair), "stage1_block1_bn2", "gamma", "beta")
    found = lesions.LesionedModel(model).logits(data[0], silenced=pair[:1], swapped=[pair])
    np.testing.assert_allclose(found, answers(expected, data[0]), **CLOSE)


def test_swapping_a_block_with_itself_or_twice_changes_nothing(data):
    patient = lesions.LesionedModel(basic(14))
    intact, pair = patient.logits(data[0]), ("stage1_block1", "stage1_block2")
    np.testing.assert_array_equal(patient.logits(data[0], swapped=[("stage2_block1",) * 2]), intact)
    np.testing.assert_array_equal(patient.logits(data[0], swapped=[pair, pair]), intact)
    assert not np.allclose(patient.logits(data[0], swapped=[pair]), intact, **CLOSE)


def test_blocks_that_do_not_fit_each_other_are_not_swapped(data):
    patient = lesions.LesionedModel(basic(14))
    for pair in (("stage2_block1", "stage2_block2"), ("stage1_block1", "stage2_block1")):
        with pytest.raises(ValueError, match="can be swapped: stage1_block1 and stage1_block2"):
            patient.logits(data[0], swapped=[pair])


# --------------------------------------------------------------------------- the network is not touched


def test_the_network_stays_as_it_is_whatever_happens(data):
    model = basic(14, shortcuts=False)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before, layers, config = weights_of(model), list(model.layers), model.get_config()
    patient = lesions.LesionedModel(model)
    patient.logits(data[0], silenced=["stage1_block1"], swapped=[("stage1_block1", "stage1_block2")])
    for lesion in (
        {"silenced": ["stage2_block1"]},
        {"swapped": [("stage1_block1", "stage1_block2"), ("stage1_block1", "stage3_block1")]},
    ):
        with pytest.raises(ValueError, match="stage"):
            patient.logits(data[0], **lesion)
    with pytest.raises(ValueError, match=r"images \[n, 8, 8, 1\]. Received: images of shape \(48, 8, 8, 3\)"):
        patient.logits(np.repeat(data[0], 3, axis=-1), silenced=["stage1_block1"])
    examined(patient, *data, most=2)
    assert same(before, weights_of(model))
    assert layers == list(model.layers)
    assert config == model.get_config()
    np.testing.assert_allclose(patient.logits(data[0]), answers(model, data[0]), **CLOSE)


def test_training_the_network_later_does_not_reach_the_patient(data):
    model = basic()
    patient = lesions.LesionedModel(model)
    intact = patient.logits(data[0])
    shaken(model, seed=2)
    np.testing.assert_array_equal(patient.logits(data[0]), intact)


def test_a_saved_network_has_the_same_lesions(data, tmp_path):
    for make in (basic, lambda: preactivation(shortcuts=False)):
        model = make()
        serialization.save_model(model, tmp_path / "model.keras")
        patient, again = map(
            lesions.LesionedModel, (model, serialization.load_model(tmp_path / "model.keras"))
        )
        assert (again.blocks, again.silenceable) == (patient.blocks, patient.silenceable)
        for silenced in ((), patient.silenceable[-1:], patient.silenceable):
            np.testing.assert_array_equal(
                again.logits(data[0], silenced=silenced), patient.logits(data[0], silenced=silenced)
            )


def test_a_switchable_copy_can_be_saved(data, tmp_path):
    copy = lesions.switchable(basic())
    copy.get_layer("stage1_block1_switch").kept.assign(0.0)
    serialization.save_model(copy, tmp_path / "copy.keras")
    again = serialization.load_model(tmp_path / "copy.keras")
    np.testing.assert_array_equal(answers(again, data[0]), answers(copy, data[0]))
    assert not np.allclose(answers(again, data[0]), answers(basic(), data[0]), **CLOSE)


def test_half_precision_is_no_obstacle(data):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = basic()
    finally:
        keras.config.set_dtype_policy(policy)
    patient = lesions.LesionedModel(model)
    np.testing.assert_allclose(patient.logits(data[0]), answers(model, data[0]), rtol=0.05, atol=0.1)
    assert not np.allclose(patient.logits(data[0], silenced=patient.silenceable), answers(model, data[0]))


# --------------------------------------------------------------------------- the examination


def test_accuracy_is_the_share_of_right_answers(data):
    model = basic()
    patient = lesions.LesionedModel(model)
    labels = answers(model, data[0]).argmax(axis=1)
    labels[:12] = (labels[:12] + 1) % 4
    assert patient.accuracy(data[0], labels, batch_size=10) == 0.75
    with pytest.raises(ValueError, match=r"labels of shape \(48, 1\) for 48 images"):
        patient.accuracy(data[0], labels[:, None])


def test_an_examination_asks_about_every_lesion(data):
    patient = lesions.LesionedModel(basic(14))
    labels = patient.logits(data[0]).argmax(axis=1)
    findings = examined(patient, data[0], labels, draws=3, most=4)
    assert findings.intact == 1
    assert findings.single == {
        block: patient.accuracy(data[0], labels, silenced=[block]) for block in patient.blocks
    }
    assert {count: len(found) for count, found in findings.silenced.items()} == {1: 3, 2: 3, 3: 3, 4: 3}
    assert set(findings.silenced[1]) <= set(findings.single.values())
    swap = patient.accuracy(data[0], labels, swapped=patient.swappable)
    assert findings.swapped == {1: [swap]}  # there is one pair


def test_where_few_lesions_can_be_drawn_each_is_taken_once(data):
    patient = lesions.LesionedModel(basic())
    findings = examined(patient, *data, draws=5)
    assert findings.silenced[1] == list(findings.single.values())
    assert findings.silenced[2] == [
        patient.accuracy(*data, silenced=pair) for pair in itertools.combinations(patient.blocks, 2)
    ]
    assert list(findings.silenced) == [1, 2, 3]
    assert len(findings.silenced[3]) == 1
    assert findings.swapped == {}


class Recorder:
    """A patient that notes what is asked of it."""

    def __init__(self, silenceable):
        self.silenceable, self.swappable, self.asked = silenceable, (("a", "b"), ("a", "c")), []

    def accuracy(self, images, labels, silenced, swapped, batch_size):
        self.asked.append((tuple(silenced), tuple(swapped)))
        return 0.5


def test_lesions_depend_on_blocks_and_seed_alone(data):
    def asked(silenceable, seed, blocks=None):
        patient = Recorder(silenceable)
        examined(patient, *data, blocks=blocks, draws=2, seed=seed)
        return patient.asked

    assert asked("abcdef", 7) == asked("abcdef", 7) == asked("abcdefgh", 7, "abcdef")
    assert asked("abcdef", 7) != asked("abcdef", 8)
    swaps = [[swapped for _, swapped in asked(blocks, 7) if swapped] for blocks in ("abcdef", "a")]
    assert swaps[0] == swaps[1]
    assert [len(pairs) for pairs in swaps[0]] == [1, 1, 2, 2]
    assert all(len(set(pairs)) == len(pairs) for pairs in swaps[0])  # twice would undo a swap


def test_all_lesions_share_one_trace(data, monkeypatch):
    traced, compile_function = [], backend.compile_function

    def counting(function):
        return compile_function(lambda *inputs: traced.append(1) or function(*inputs))

    monkeypatch.setattr(backend, "compile_function", counting)
    examined(lesions.LesionedModel(basic(14)), *data, draws=2)
    assert len(traced) == 1
