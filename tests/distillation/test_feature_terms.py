"""Losses of features inside a Distiller: their layers, their own weights, what cannot be compared."""

import contextlib

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd import Distiller, losses
from keras_kd.models import graph
from tests.support import feature_definitions as definitions
from tests.support.distillers import compiled, evaluated, fitted
from tests.support.networks import mlp, resnet8, same, weights_of

STAGES = [f"stage{i}_block1_out" for i in (1, 2, 3)]
CLASSES = [
    losses.Hint,
    losses.AttentionTransfer,
    losses.SimilarityPreserving,
    losses.RelationalKnowledge,
    losses.ProbabilityTransfer,
    losses.VariationalInformation,
]
OWNERS = ["hint_loss", "variational_information_loss"]  # of weights


def narrow():
    keras.utils.set_random_seed(2)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2)


def maps(size, channels, name="maps"):
    """A classifier of 8x8 images with feature maps of one size."""
    keras.utils.set_random_seed(channels)
    image = keras.Input((8, 8, 1))
    x = keras.layers.AveragePooling2D(8 // size)(image)
    x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


@contextlib.contextmanager
def policy(name):
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.fixture
def colours(rng):
    """16 colour images of 4 classes."""
    return rng.normal(size=(16, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 16)


def with_all_terms(teacher, student, **kwargs):
    keras.utils.set_random_seed(3)
    terms = [(1e-3 * loss.weight, loss()) for loss in CLASSES]
    return compiled(teacher, student, terms=terms, optimizer="adam", **kwargs)


def test_each_term_is_its_definition_on_the_layers_it_looks_at(colours):
    """And the Distiller's loss is their weighted sum with the others."""
    x, y = colours
    distiller = with_all_terms(resnet8(1), narrow())
    t, s = (
        graph.feature_extractor(model, [*STAGES, "head_pool"]).predict(x, verbose=0)
        for model in (distiller.teacher, distiller.student)
    )
    hints, gaussians = (distiller.adaptors[name]([s[each] for each in STAGES]) for name in OWNERS)
    as_array = keras.ops.convert_to_numpy
    expected = [
        sum(definitions.hint(t[n], as_array(h)) for n, h in zip(STAGES, hints, strict=True)).mean(),
        sum(definitions.attention_transfer(t[n], s[n]) for n in STAGES).mean(),
        definitions.similarity_preserving(t[STAGES[-1]], s[STAGES[-1]]),
        25 * definitions.relational_distance(t["head_pool"], s["head_pool"])
        + 50 * definitions.relational_angle(t["head_pool"], s["head_pool"]),
        definitions.probability_transfer(t["head_pool"], s["head_pool"]),
        sum(
            definitions.gaussian_nll(t[n], *map(as_array, g)) for n, g in zip(STAGES, gaussians, strict=True)
        ).mean(),
    ]
    measured = evaluated(distiller, x, y)
    assert [measured[name] for name in distiller.terms] == pytest.approx(expected, rel=1e-4)
    weighted = [1e-3 * loss.weight * value for loss, value in zip(CLASSES, expected, strict=True)]
    mixed = 0.1 * measured["hard_loss"] + 0.9 * measured["soft_loss"] + sum(weighted)
    assert measured["loss"] == pytest.approx(mixed, rel=1e-4)


def test_own_weights_are_trained_with_the_student_and_saved(colours, tmp_path):
    x, y = colours
    terms = [losses.Hint(), losses.VariationalInformation()]
    distiller = compiled(resnet8(1), narrow(), terms=terms, optimizer="adam")
    assert list(distiller.adaptors) == OWNERS
    own = [weight for name in OWNERS for weight in distiller.adaptors[name].trainable_variables]
    assert len(own) == 3 * 2 + 3 * 7
    assert {id(weight) for weight in own} <= {id(weight) for weight in distiller.trainable_variables}
    assert not {id(weight) for weight in own} & {id(weight) for weight in distiller.student.weights}
    parts = [distiller.teacher, distiller.student, *distiller.adaptors.values()]
    before = list(map(weights_of, parts))
    fitted(distiller, x, y)
    after = list(map(weights_of, parts))
    assert same(after[0], before[0])
    assert not any(map(same, before[1:], after[1:]))
    assert not any(map(np.array_equal, before[2], after[2]))  # each of the hint's weights

    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    for name in OWNERS:
        assert same(weights_of(loaded.adaptors[name]), weights_of(distiller.adaptors[name]))
    assert evaluated(loaded, x, y) == pytest.approx(evaluated(distiller, x, y), rel=1e-5)


@pytest.mark.slow
def test_what_is_compiled_by_xla_or_many_steps_at_a_time_computes_the_same(data):
    jit, plain, many_steps = (
        fitted(with_all_terms(maps(4, 4), maps(4, 3), **options), *data)
        for options in ({"jit_compile": True}, {"jit_compile": False}, {"steps_per_execution": 3})
    )
    for name, values in plain.items():
        assert jit[name] == pytest.approx(values, rel=1e-3), name
        assert many_steps[name] == pytest.approx(values, rel=1e-3), name


@pytest.mark.slow
@pytest.mark.parametrize("half", ["mixed_float16", "mixed_bfloat16"])
def test_own_weights_are_float32_beside_a_student_in_half_precision(data, half):
    exact = evaluated(with_all_terms(maps(4, 4), maps(4, 3)), *data)
    with policy(half):
        distiller = with_all_terms(maps(4, 4), maps(4, 3))
    assert {weight.dtype for part in distiller.adaptors.values() for weight in part.weights} == {"float32"}
    found = evaluated(distiller, *data)
    for name in ("agreement", "student_accuracy"):
        assert found.pop(name) == pytest.approx(exact.pop(name), abs=1.5 / len(data[0])), name
    assert found == pytest.approx(exact, rel=0.05, abs=1e-3)
    assert np.isfinite(list(fitted(distiller, *data).values())).all()


@pytest.mark.parametrize("loss", [losses.Hint, losses.AttentionTransfer, losses.VariationalInformation])
def test_layers_of_other_sizes_are_averaged_to_the_smaller(data, loss):
    for sizes in ((8, 2), (2, 8)):
        teacher, student = maps(sizes[0], 4, "a"), maps(sizes[1], 3, "b")
        measured = evaluated(compiled(teacher, student, terms=[loss(["a"], ["b"])]), *data)
        assert np.isfinite(measured["loss"])


def test_layers_without_maps_get_a_dense_layer(data):
    teacher, student = mlp(8), mlp(5, seed=1)
    term = losses.Hint([teacher.layers[1].name], [student.layers[1].name])
    distiller = compiled(teacher, student, terms=[term])
    (kernel, bias) = distiller.adaptors["hint_loss"].weights
    assert (kernel.shape, bias.shape) == ((5, 8), (8,))
    assert np.isfinite(evaluated(distiller, *data)["loss"])


def test_equal_channels_need_no_weights():
    distiller = Distiller(resnet8(1), resnet8(2), terms=[losses.Hint()])
    assert distiller.adaptors == {}
    assert len(distiller.trainable_variables) == len(distiller.student.trainable_variables)


@pytest.mark.parametrize("loss", [losses.Hint, losses.AttentionTransfer, losses.VariationalInformation])
def test_shapes_that_nothing_bridges_are_refused_by_name(loss):
    teacher, student = maps(4, 4, "maps"), mlp(5)
    hidden = student.layers[1].name
    with pytest.raises(ValueError, match="cannot compare") as refused:
        Distiller(teacher, student, terms=[loss(["maps"], [hidden])])
    message = str(refused.value)
    assert "\n" not in message
    for part in (loss.__name__, "'maps'", repr(hidden), "(None, 4, 4, 4)", "(None, 5)"):
        assert part in message


@pytest.mark.parametrize("loss", [losses.Hint, losses.SimilarityPreserving])
def test_a_network_without_maps_is_refused_where_no_layers_are_named(loss):
    with pytest.raises(ValueError, match="has no layer with feature maps") as refused:
        Distiller(maps(4, 4), mlp(5, name="flat"), terms=[loss()])
    assert "'flat'" in str(refused.value)
    assert "(None, 64), 'dense" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sizes_that_are_no_multiples_are_refused():
    cut = [keras.layers.Conv2D(4, 6, name="b"), keras.layers.Flatten(), keras.layers.Dense(4)]
    student = keras.Sequential([keras.Input((8, 8, 1)), *cut])
    with pytest.raises(ValueError, match=r"whole multiple.*\(None, 8, 8, 4\) and \(None, 3, 3, 4\)"):
        Distiller(maps(8, 4, "a"), student, terms=[losses.Hint(["a"], ["b"])])


def test_sequences_of_other_lengths_are_told_to_be_of_one():
    """They are never averaged, so that a multiple would not do."""
    reason = losses.Hint().mismatch((None, 50, 4), (None, 30, 4))
    assert (
        reason == losses.Hint().mismatch((None, 60, 4), (None, 30, 4)) == "take layers of as many positions"
    )


def test_no_layers_are_no_choice():
    with pytest.raises(ValueError, match=r"name one layer or more, or give None.*teacher_layers=\[\]"):
        losses.Hint([], [])


@pytest.mark.parametrize("layers", [1, True, ["a", 2], keras.layers.ReLU()], ids=str)
def test_what_names_no_layer_is_refused(layers):
    for given in ((layers, layers), (["a"], layers)):
        with pytest.raises(ValueError, match="layers are given by name: .* Received: .*_layers=") as said:
            losses.Hint(*given)
        assert "\n" not in str(said.value)


def test_features_need_the_teacher_itself():
    with pytest.raises(ValueError, match="Hint needs the teacher itself. Received: teacher=None"):
        Distiller(None, mlp(), terms=[losses.Hint()])


@pytest.mark.parametrize("loss", CLASSES)
def test_a_loss_survives_its_config(loss):
    term = loss(["a"], ["b"])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(term))
    assert type(again) is loss
    assert again.get_config() == term.get_config()
    assert (again.teacher_layers, again.student_layers) == (["a"], ["b"])


def test_the_weights_of_relations_are_numbers():
    term = losses.RelationalKnowledge(distance_weight=1, angle_weight=2)
    assert losses.RelationalKnowledge.from_config(term.get_config()).angle_weight == 2.0
    with pytest.raises(ValueError, match="angle_weight .*Received: angle_weight='2'"):
        losses.RelationalKnowledge(angle_weight="2")


def turned(seed):
    """A classifier whose maps have their channels first at "first", and last at "last"."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Permute((3, 1, 2))(image)
    x = keras.layers.Conv2D(4, 3, data_format="channels_first", name="first")(x)
    x = keras.layers.Permute((2, 3, 1), name="last")(x)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


OF_MAPS = (losses.Hint, losses.AttentionTransfer, losses.VariationalInformation, losses.KnowledgeReview)


@pytest.mark.parametrize("loss", OF_MAPS)
def test_maps_whose_channels_come_first_are_refused_by_what_reads_height_and_width(loss):
    for names in (("first", "maps"), ("maps", "first")):
        networks = [turned(1) if name == "first" else maps(2, 4) for name in names]
        with pytest.raises(ValueError, match="layer 'first' .* channels first: .*Permute") as said:
            Distiller(*networks, terms=[loss(*names)])
        assert "\n" not in str(said.value)


def test_maps_whose_channels_were_brought_last_are_compared(data):
    teacher, student = turned(1), turned(2)
    measured = evaluated(compiled(teacher, student, terms=[losses.AttentionTransfer("last", "last")]), *data)
    t, s = (
        np.moveaxis(graph.feature_extractor(model, ["first"]).predict(data[0], verbose=0)["first"], 1, 3)
        for model in (teacher, student)
    )
    expected = definitions.attention_transfer(t, s).mean()
    assert measured["attention_transfer_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [kind for kind in CLASSES if kind not in OF_MAPS])
def test_relations_of_examples_take_maps_of_any_order(data, loss):
    first, last = (
        evaluated(compiled(turned(1), turned(2), terms=[loss(name, name)]), *data)["loss"]
        for name in ("first", "last")
    )
    assert first == pytest.approx(last, rel=1e-4)
