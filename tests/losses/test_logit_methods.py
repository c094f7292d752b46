"""Published methods on logits: each is its definition, its gradient too, and neither is ever NaN."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_kd import Distiller, losses
from keras_kd.utils import backend
from tests.support import method_definitions as definitions
from tests.support.distillers import evaluated, fitted
from tests.support.networks import mlp, same, sparse_ce, weights_of

# By name: (the library's, as (labels, teacher, student, temperature); the definition).
METHODS = {
    "standardized": (lambda y, *given: losses.standardized_kl(*given), definitions.standardized),
    "decoupled": (losses.decoupled_kl, definitions.decoupled),
    "normalized": (lambda *given: losses.normalized_kd(*given[:3], 1.5, given[3]), definitions.normalized),
    "dist": (lambda y, *given: losses.dist(*given, 2.0, 2.0), definitions.dist),
    "multi_level": (
        lambda y, teacher, student, at: losses.multi_level_kl(teacher, student, (at, 2 * at)),
        definitions.multi_level,
    ),
}
ROWS = ["standardized", "decoupled", "normalized"]
SMOOTH = ["decoupled", "normalized", "multi_level"]  # at constant and equal rows, too
TEMPERATURES = [0.5, 4.0, 20.0]

every_method = pytest.mark.parametrize("method", METHODS)


@functools.cache
def compiled(method, temperature):
    return backend.compile_function(lambda *given: METHODS[method][0](*given, temperature))


def value(method, labels, teacher, student, temperature):
    given = map(ops.convert_to_tensor, (labels, teacher, student))
    return ops.convert_to_numpy(compiled(method, temperature)(*given))


@functools.cache
def value_and_gradient(method, temperature):
    function = METHODS[method][0]
    return backend.value_and_gradient(
        lambda student, labels, teacher: ops.sum(function(labels, teacher, student[0], temperature))
    )


def gradient(method, labels, teacher, student, temperature):
    """Of the sum of the values, with respect to the student's logits; compiled."""
    given = [ops.convert_to_tensor(student)], ops.convert_to_tensor(labels), ops.convert_to_tensor(teacher)
    return ops.convert_to_numpy(value_and_gradient(method, temperature)(*given)[1][0])


def pairs(rng, shape):
    """`(teacher, student)` by name, float32."""
    teacher, student = rng.normal(size=(2, *shape)).astype("float32")
    extreme = rng.uniform(-60, 60, (2, *shape)).astype("float32")
    corners = np.where(rng.random((2, *shape)) < 0.5, 60, -60).astype("float32")
    first = np.arange(shape[1]) == 0
    sure = np.where(first, 60, -60) * np.ones((shape[0], 1))
    constant = np.full(shape, 60.1)
    found = {
        "random": (teacher, student),
        "extreme": extreme,
        "extreme teacher": (extreme[0], student),
        "extreme student": (teacher, extreme[1]),
        "corners": corners,
        "sure of one class": (sure, student),
        "sure of the other": (sure, -sure),
        "equal rows": (teacher[:1].repeat(shape[0], 0), student[:1].repeat(shape[0], 0)),
        "equal rows of the student": (teacher, student[:1].repeat(shape[0], 0)),
        "constant rows": (constant, constant - 7),
        "constant rows of the student": (teacher, constant),
        "constant rows of the teacher": (constant, student),
        "student = teacher": (teacher, teacher),
    }
    return {name: [logits.astype("float32") for logits in pair] for name, pair in found.items()}


SHAPES = {0.5: [(8, 10), (1, 10), (2, 2), (4, 1000)], 4.0: [(8, 10), (8, 2)]}
SHAPES[20.0] = [(8, 10), (2, 10), (1, 2), (4, 1000)]


@every_method
def test_logits_of_two_shapes_are_refused(method, rng):
    """A teacher of one class, or one example, would be repeated."""
    labels, student = np.arange(4) % 3, rng.normal(size=(4, 3)).astype("float32")
    for shape in ((4, 1), (1, 3), (3,), (4, 5)):
        with pytest.raises(
            ValueError, match=rf"one shape. Received: .*{shape[-1]}.*teacher.*\(4, 3\)"
        ) as said:
            METHODS[method][0](labels, np.ones(shape, "float32"), student, 4.0)
        assert len(str(said.value).splitlines()) == 1


@pytest.mark.parametrize("temperature", TEMPERATURES)
@every_method
def test_the_value_is_the_definition_in_float64(rng, method, temperature):
    """To 1e-5 of max(1, value)."""
    for shape in SHAPES[temperature]:
        labels = rng.integers(0, shape[1], shape[0])
        for name, (teacher, student) in pairs(rng, shape).items():
            expected = METHODS[method][1](labels, teacher, student, temperature)
            found = value(method, labels, teacher, student, temperature)
            assert found.dtype == "float32"
            assert found.shape == ((shape[0],) if method in ROWS else ())
            error = np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected)))
            assert error < 1e-5, f"{name}, {shape}: {found} is not {expected}"


@pytest.mark.parametrize("temperature", TEMPERATURES)
@every_method
def test_the_gradient_is_that_of_the_definition(rng, method, temperature):
    """To 1e-4 of max(1, the largest entry); where the definition has none, a finite number."""
    labels = rng.integers(0, 5, 4)
    for name, (teacher, student) in pairs(rng, (4, 5)).items():
        found = gradient(method, labels, teacher, student, temperature)
        assert np.isfinite(found).all(), name
        if method not in SMOOTH and ("rows" in name or "corners" in name):
            continue
        definition = functools.partial(METHODS[method][1], labels, teacher, temperature=temperature)
        expected = definitions.finite_differences(definition, student)
        error = np.max(np.abs(found - expected)) / max(1, np.max(np.abs(expected)))
        assert error < 1e-4, f"{name}: {error:.1e}"


@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (2, 1000)])
@every_method
def test_the_gradient_is_a_number_for_few_examples_and_many_classes(rng, method, shape):
    labels = rng.integers(0, shape[1], shape[0])
    for name, (teacher, student) in pairs(rng, shape).items():
        assert np.isfinite(gradient(method, labels, teacher, student, 4.0)).all(), name


@every_method
def test_the_value_is_least_where_the_student_is_the_teacher(rng, method):
    teacher = (5 * rng.normal(size=(8, 10))).astype("float32")
    labels = rng.integers(0, 10, 8)
    found = value(method, labels, teacher, teacher, 4.0)
    if method != "normalized":
        np.testing.assert_allclose(found, 0, atol=1e-10)  # XLA may round the two networks differently
        return
    log_p = np.log(ops.convert_to_numpy(ops.softmax(teacher))[np.arange(8), labels])
    surer = teacher + 200 * np.eye(10, dtype="float32")[labels]
    least = value(method, labels, teacher, surer, 4.0)  # gamma T^2 H(q)
    np.testing.assert_allclose(found, least - np.exp(log_p) * log_p, rtol=1e-5)
    for _ in range(20):
        other = surer + rng.normal(size=teacher.shape).astype("float32")
        assert (value(method, labels, teacher, other, 4.0) >= least * (1 - 1e-6)).all()


def test_constant_rows_and_columns_count_as_uncorrelated():
    """As told: T^2 times the weights, of the shares of rows and columns."""
    logits = np.array([[1, 2, 3], [5, 5, 5]], "float32")
    assert float(losses.dist(logits, logits, 2.0, 1.0, 10.0)) == pytest.approx(4 * 0.5)
    assert float(losses.dist(logits[:1], logits[:1], 2.0, 1.0, 10.0)) == pytest.approx(4 * 10)


def test_standardised_logits_do_not_know_scale_and_mean(rng):
    teacher, student = rng.normal(size=(2, 8, 10)).astype("float32")
    expected = ops.convert_to_numpy(losses.standardized_kl(teacher, student, 2.0))
    found = ops.convert_to_numpy(losses.standardized_kl(teacher, 32 * student + 64, 2.0))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(losses.standardized_kl(teacher, 32 * teacher, 2.0), 0, atol=1e-9)


def test_a_row_of_equal_logits_is_not_pulled_by_standardised_ones(rng):
    teacher = rng.normal(size=(4, 5)).astype("float32")
    student = np.full((4, 5), 0.1, "float32")
    np.testing.assert_array_equal(gradient("standardized", np.zeros(4, int), teacher, student, 4.0), 0)


@pytest.mark.parametrize("method", ROWS)
def test_an_example_does_not_know_the_others(rng, method):
    teacher, student = rng.normal(size=(2, 6, 10)).astype("float32")
    labels = rng.integers(0, 10, 6)
    together = value(method, labels, teacher, student, 2.0)
    alone = [value(method, labels[i:][:1], teacher[i:][:1], student[i:][:1], 2.0)[0] for i in range(6)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize("method", ["decoupled", "normalized"])
def test_labels_are_numbers_or_one_hot_or_smoothed(rng, method):
    teacher, student = rng.normal(size=(2, 6, 10)).astype("float32")
    labels = rng.integers(0, 10, 6)
    one_hot = np.eye(10, dtype="float32")[labels]
    given = (labels, labels[:, None], one_hot, 0.9 * one_hot + 0.01)
    found = [ops.convert_to_numpy(METHODS[method][0](each, teacher, student, 2.0)) for each in given]
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])


@pytest.mark.parametrize("method", ["decoupled", "normalized"])
def test_an_example_without_a_class_says_nothing(rng, method):
    """As with `ignore_class=-1`: its value and its gradient are 0."""
    teacher, student = rng.normal(size=(2, 4, 5)).astype("float32")
    labels, has_class = np.array([-1, 3, 5, 0]), np.array([False, True, False, True])
    found, pull = (each(method, labels, teacher, student, 4.0) for each in (value, gradient))
    np.testing.assert_array_equal(found[~has_class], 0)
    np.testing.assert_array_equal(pull[~has_class], 0)
    of_others = (labels[has_class], teacher[has_class], student[has_class])
    np.testing.assert_allclose(found[has_class], METHODS[method][1](*of_others, 4.0), rtol=1e-5)


@pytest.mark.parametrize("term", [losses.DecoupledTargets(), losses.NormalizedTargets()])
def test_what_the_label_loss_ignores_is_no_class_to_a_term(data, term):
    """Also where it is the number of a class, and where labels cannot be below 0."""
    x, y = data
    distiller = Distiller(mlp(seed=1), mlp(seed=2), terms=[term])
    distiller.compile(loss=sparse_ce(ignore_class=0), run_eagerly=True)
    (name,) = distiller.terms
    found = evaluated(distiller, x, y.astype("uint8"))[name]
    of_others = evaluated(distiller, x[y > 0], y[y > 0])[name]
    assert found == pytest.approx(of_others * np.mean(y > 0), rel=1e-4)


def test_one_hot_labels_of_other_classes_are_refused():
    for columns in (2, 6):
        with pytest.raises(ValueError, match=rf"a column for each of 5 classes.*\(3, {columns}\)$"):
            losses.is_target(np.eye(columns)[[0, 1, 1]], 5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@every_method
def test_a_method_is_computed_in_float32(rng, method, dtype):
    teacher, student = (ops.cast(10 * rng.normal(size=(8, 10)), dtype) for _ in range(2))
    given = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in (teacher, student)]
    labels = rng.integers(0, 10, 8)
    found = METHODS[method][0](labels, teacher, student, 4.0)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = METHODS[method][1](labels, *given, 4.0)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


# (loss, what its class says of itself: weight, label_weight, warmup, asks_labels, compares_examples)
TERMS = [
    (losses.StandardizedTargets(3.0), (9.0, 0.1, 0.0, False, False)),
    (losses.DecoupledTargets(3.0, 2.0, 4.0), (1.0, 1.0, 1 / 12, True, False)),
    (losses.NormalizedTargets(2.0, 3.0), (1.0, 1.0, 0.0, True, False)),
    (losses.Dist(3.0, 4.0, 5.0), (1.0, 1.0, 0.0, False, True)),
    (losses.MultiLevelTargets([3, 4]), (0.9, 0.1, 0.0, False, True)),
]


@pytest.mark.parametrize(("term", "said"), TERMS, ids=lambda value: type(value).__name__)
def test_a_term_says_what_it_asks_for_and_survives_its_config(rng, term, said):
    names = ("weight", "label_weight", "warmup", "asks_labels", "compares_examples")
    assert tuple(getattr(term, name) for name in names) == pytest.approx(said)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(term))
    assert again.get_config() == term.get_config()
    teacher, student = rng.normal(size=(2, 4, 3)).astype("float32")
    labels = {"labels": np.arange(4) % 3} if term.asks_labels else {}
    found = [ops.convert_to_numpy(each.call(teacher, student, **labels)) for each in (term, again)]
    np.testing.assert_array_equal(*found)
    with pytest.raises(ValueError, match=rf"{type(term).__name__} compares classes.*\[batch, 1\]$"):
        term.check_outputs(1)
    for count in (None, 2):
        term.check_outputs(count)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.StandardizedTargets(0), "temperature must lie in"),
        (lambda: losses.DecoupledTargets(target_weight="1"), "target_weight must lie in"),
        (lambda: losses.DecoupledTargets(nontarget_weight=np.nan), "nontarget_weight must lie in"),
        (lambda: losses.NormalizedTargets(nontarget_weight=None), "nontarget_weight must lie in"),
        (lambda: losses.Dist(inter_weight=np.inf), "inter_weight must lie in"),
        (lambda: losses.MultiLevelTargets([]), r"temperatures must be a list.*Received: temperatures=\[\]"),
        (lambda: losses.MultiLevelTargets(None), r"temperatures must be a list.*Received: temperatures=None"),
        (lambda: losses.MultiLevelTargets(0.0), "temperature must lie in"),
        (lambda: losses.MultiLevelTargets([4, -1]), "temperature must lie in"),
    ],
)
def test_a_wrong_setting_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@every_method
def test_a_wrong_temperature_is_named(method):
    with pytest.raises(ValueError, match=r"temperature must lie in \[0.001, 10000\]"):
        value(method, np.zeros(1, int), np.zeros((1, 2)), np.zeros((1, 2)), -1.0)


HALVES = [slice(0, 24), slice(24, 48)]

# By method: the term, its definition, the name of its loss, whether labels are one-hot.
TRAINED = {
    "decoupled": (losses.DecoupledTargets, definitions.decoupled, "decoupled_targets_loss", False),
    "decoupled, one-hot": (losses.DecoupledTargets, definitions.decoupled, "decoupled_targets_loss", True),
    "dist": (losses.Dist, definitions.dist, "dist_loss", False),
}


def trained_twice(student, term, x, y, weights, epochs=1, **options):
    """The logs of its first two steps, of 24 examples, both at the first weights, and the logits before."""
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.0, 0.1])  # only the second step moves
    distiller = Distiller(mlp(seed=1), student, alpha=0.0, label_weight=1.0, terms=[term])
    distiller.compile(keras.optimizers.SGD(rate), sparse_ce() if y.ndim == 1 else one_hot, **options)
    logits = [ops.convert_to_numpy(ops.cast(model(x), "float32")) for model in (distiller.teacher, student)]
    logs = fitted(distiller, x, y, sample_weight=weights, batch_size=24, epochs=epochs)
    return {name: values[0] for name, values in logs.items()}, logits


@pytest.mark.parametrize(
    "case", ["decoupled", pytest.param("decoupled, one-hot", marks=pytest.mark.slow), "dist"]
)
def test_a_distiller_trains_on_it_compiled_and_two_steps_at_a_time(rng, data, case):
    """Weights of examples count for a loss of each example, and not for one of the whole batch."""
    x, labels = data
    make, definition, name, one_hot = TRAINED[case]
    weights = rng.uniform(0.5, 1.5, 48).astype("float32")
    student, y = mlp(seed=2), np.eye(4, dtype="float32")[labels] if one_hot else labels
    options = {"jit_compile": True, "steps_per_execution": 2}
    logs, (teacher, before) = trained_twice(student, make(), x, y, weights, **options)
    values = [definition(labels[half], teacher[half], before[half], 4.0) for half in HALVES]
    weighted = [np.mean(weights[h] * v) if v.shape else v for h, v in zip(HALVES, values, strict=True)]
    expected = np.mean(weighted)
    assert logs[name] == pytest.approx(expected, rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["hard_loss"] + expected, rel=1e-5)
    assert not same(weights_of(student), weights_of(mlp(seed=2)))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["decoupled", "dist"])
def test_a_student_of_float16_has_finite_losses(data, case):
    make, definition, name, _ = TRAINED[case]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student = mlp(seed=2)
    finally:
        keras.config.set_dtype_policy("float32")
    x, labels = data
    # More steps: float16's first ones may overflow, and are skipped.
    logs, (teacher, before) = trained_twice(student, make(), x, labels, np.ones(48), epochs=4)
    expected = np.mean([np.mean(definition(labels[h], teacher[h], before[h], 4.0)) for h in HALVES])
    assert logs[name] == pytest.approx(expected, rel=0.01)
    assert all(np.isfinite(weight).all() for weight in weights_of(student))
    assert not same(weights_of(student), weights_of(mlp(seed=2)))


@pytest.mark.parametrize("method", ["decoupled", "normalized"])
def test_labels_and_logits_may_be_lists(method):
    given = [2, 0], [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], [[0.5, 0.0, 1.0], [2.0, 1.0, 0.0]]
    as_arrays = [
        np.array(each, dtype) for each, dtype in zip(given, ("int32", "float32", "float32"), strict=True)
    ]
    of_lists, of_arrays = (METHODS[method][0](*each, 4.0) for each in (given, as_arrays))
    np.testing.assert_array_equal(of_lists, of_arrays)
