import fractions

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from keras_kd import losses
from keras_kd.utils import backend
from tests.support.networks import mlp, same, sparse_ce, weights_of
from tests.support.reference import exact_kl, log_softmax, reference_kl


def numpy_kl(*arguments):
    return ops.convert_to_numpy(losses.soft_target_kl(*arguments))


@pytest.mark.parametrize("scale", [0.1, 1, 10, 100, 1e4])
@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_kl_is_the_float64_reference(rng, scale, temperature):
    teacher, student = (scale * rng.normal(size=(2, 64, 10))).astype("float32")
    expected = reference_kl(teacher, student, temperature)
    resolution = max(1e-5, 1e-7 * temperature**2)  # float32's, times T^2
    np.testing.assert_allclose(numpy_kl(teacher, student, temperature), expected, rtol=1e-5, atol=resolution)


@pytest.mark.parametrize("temperature", [1, 4, 20])
@pytest.mark.parametrize("gap", [1e-6, 1e-5, 1e-4, 1e-3, 0.1, 1.0, 10.0, 100.0])
def test_kl_is_resolved_however_small_it_is(rng, gap, temperature):
    for scale in (0.01, 1, 10, 100):
        teacher = (scale * rng.normal(size=(2, 10))).astype("float32")
        student = (teacher + gap * rng.normal(size=teacher.shape)).astype("float32")
        expected = exact_kl(teacher, student, temperature)
        np.testing.assert_allclose(numpy_kl(teacher, student, temperature), expected, rtol=2e-5, atol=1e-34)


def test_kl_of_close_networks_is_resolved_beside_an_unlikely_class_that_differs():
    teacher, student = np.array([[3.0, 1.0, -20.0]], "float32"), np.array([[3.0, 1.00001, -12.0]], "float32")
    np.testing.assert_allclose(numpy_kl(teacher, student, 1.0), exact_kl(teacher, student, 1), rtol=1e-5)


def test_kl_of_close_networks_is_resolved_where_their_logits_differ_by_a_constant(rng):
    teacher = rng.normal(size=(16, 10)).astype("float32")
    student = (teacher + 64 + 1e-3 * rng.normal(size=teacher.shape)).astype("float32")
    np.testing.assert_allclose(numpy_kl(teacher, student, 4.0), exact_kl(teacher, student, 4), rtol=1e-3)


INF = float("inf")
MASKED = [
    ([2, 1, -INF], [1, 1, 1]),
    ([2, 1, -INF], [1, 0, -INF]),
    ([2, -INF, -INF], [1, 9, 1]),
    ([2, 1.00001, -INF], [2, 1, -80]),
    ([2, 1, -6e4], [1, 0, -6e4]),
    ([-INF, 0, 0], [500, 0, 0]),
]


def test_a_masked_class_counts_as_0_log_0():
    assert numpy_kl([[2.0, 1.0, -INF]], [[1.0, 1.0, 1.0]], 4.0)[0] == pytest.approx(6.6115, abs=5e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("teacher", "student"), MASKED)
def test_kl_with_masked_classes_and_its_gradient(teacher, student, dtype):
    """The gradient is T (q - p), whatever is masked."""
    teacher, student = (ops.cast([row], dtype) for row in (teacher, student))
    given = [ops.convert_to_numpy(ops.cast(x, "float32")).astype(np.float64) for x in (teacher, student)]
    np.testing.assert_allclose(numpy_kl(teacher, student, 4.0), exact_kl(*given, 4), rtol=1e-5, atol=1e-30)
    p, q = (np.exp(log_softmax(x / 4.0)) for x in given)
    found = gradient(teacher, student)
    np.testing.assert_allclose(found, 4 * (q - p), rtol=0.02 if dtype == "bfloat16" else 2e-3, atol=2e-5)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_the_gradient_is_temperature_times_the_difference_of_probabilities(rng, scale):
    teacher = rng.normal(size=(8, 10)).astype("float32")
    student = (teacher + scale * rng.normal(size=teacher.shape)).astype("float32")
    p, q = (np.exp(log_softmax(x.astype(np.float64) / 4.0)) for x in (teacher, student))
    found = gradient(teacher, student)
    np.testing.assert_allclose(found, 4 * (q - p), atol=1e-6)


def gradient(teacher, student):
    """Of the sum of the divergences at temperature 4, with respect to the student's logits; compiled."""
    student = ops.convert_to_tensor(student)
    function = backend.value_and_gradient(lambda at: ops.sum(losses.soft_target_kl(teacher, at[0], 4.0)))
    (found,) = function([student])[1]
    return ops.convert_to_numpy(ops.cast(found, "float32"))


def test_kl_does_not_hide_what_is_no_number():
    """A logit that is NaN, or a row without any class."""
    for teacher, student in (([1, np.nan], [1, 2]), ([1, 2], [np.nan, 2]), ([-INF, -INF], [1, 2])):
        assert np.isnan(numpy_kl(np.array([teacher]), np.array([student]), 4.0)).all()
    assert numpy_kl([[1.0, 2.0]], [[1.0, -INF]], 4.0)[0] == INF


@pytest.mark.parametrize("offset", [0.0, 4.0, -4096.0, 8192.0])
def test_kl_is_zero_for_logits_that_differ_by_a_constant(rng, offset):
    teacher = rng.integers(-32, 32, (16, 10)).astype("float32")
    np.testing.assert_allclose(numpy_kl(teacher, teacher + offset, 4.0), 0, atol=1e-6)


def test_kl_is_never_negative(rng):
    teacher = rng.normal(size=(5000, 10)).astype("float32")
    student = teacher + 1e-4 * rng.normal(size=teacher.shape).astype("float32")
    assert numpy_kl(teacher, student, 4.0).min() >= 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_kl_is_computed_in_float32(rng, dtype):
    teacher, student = (ops.cast(10 * rng.normal(size=(16, 10)), dtype) for _ in range(2))
    given = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in (teacher, student)]
    value = losses.soft_target_kl(teacher, student, 4.0)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(value), reference_kl(*given, 4.0), rtol=1e-5)


def test_kl_gives_one_value_per_example_whatever_the_others_are(rng):
    teacher, student = rng.normal(size=(2, 6, 10)).astype("float32")
    together = numpy_kl(teacher, student, 2.0)
    alone = [numpy_kl(teacher[i : i + 1], student[i : i + 1], 2.0)[0] for i in range(6)]
    assert together.shape == (6,)
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize(
    "temperature", [0, -1, 1e-9, 1e300, 2e4, float("nan"), float("inf"), "4", None, True]
)
def test_a_wrong_temperature_is_named(temperature):
    with pytest.raises(ValueError, match=r"temperature must lie in \[0.001, 10000\]. Received: temperature="):
        losses.soft_target_kl(np.zeros((1, 2)), np.zeros((1, 2)), temperature)


@pytest.mark.parametrize(
    "kind", [int, np.int64, np.float16, np.float32, np.array, ml_dtypes.bfloat16, fractions.Fraction]
)
def test_a_number_of_any_type_is_taken(kind):
    for check in (losses.check_temperature, losses.check_alpha):
        found = check(kind(1))
        assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), "0.9", None])
def test_a_wrong_alpha_is_named(alpha):
    with pytest.raises(ValueError, match=r"alpha.*\[0, 1\].*Received: alpha="):
        losses.check_alpha(alpha)


def test_agreement_is_the_share_of_equal_arg_max():
    teacher = np.array([[1, 2, 0], [3, 2, 1], [0, 0, 9]], "float32")
    student = np.array([[5, 9, 0], [0, 2, 1], [0, 0, 1]], "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(losses.agreement(teacher, student)), [1, 0, 1])


def test_the_adapter_is_the_loss_in_kerass_own_distiller(rng, data):
    x, y = data
    teacher, student = mlp(seed=1), mlp(seed=2)
    theirs = keras.distillation.Distiller(
        teacher, student, distillation_losses=losses.SoftTargets(3.0), student_loss_weight=0.25
    )
    theirs.compile("sgd", loss=sparse_ce())
    measured = theirs.evaluate(x, y, batch_size=48, verbose=0, return_dict=True)
    t, s = (m.predict(x, verbose=0) for m in (teacher, student))
    hard = -np.mean(log_softmax(s.astype(np.float64))[np.arange(48), y])
    expected = 0.25 * hard + 0.75 * reference_kl(t, s, 3.0).mean()
    assert measured["total_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_adapter_survives_its_config():
    term = losses.SoftTargets(2.5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(term))
    assert again.temperature == 2.5


class Scaled(keras.losses.Loss):
    """Squared differences times a scale, of which its configuration says nothing."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * ops.mean(ops.square(y_true - y_pred), axis=-1)


def test_a_keras_term_answers_per_example(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 3, 2)).astype("float32")
    expected = ((teacher - student).astype(np.float64) ** 2).mean(axis=(1, 2, 3))
    for loss, scale in (("mse", 1), (keras.losses.MeanSquaredError(), 1), (Scaled(100.0), 100)):
        term = losses.without_reduction(keras.distillation.FeatureDistillation(loss))
        values = ops.convert_to_numpy(losses.per_example(term, teacher, student))
        np.testing.assert_allclose(values, scale * expected, rtol=1e-5)


def test_without_reduction_leaves_the_term_alone():
    term = keras.distillation.FeatureDistillation(keras.losses.MeanSquaredError())
    losses.without_reduction(term)
    assert term.loss.reduction == "sum_over_batch_size"


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.CategoricalCrossentropy(from_logits=False),
    ],
)
def test_a_label_loss_of_probabilities_is_refused(loss):
    with pytest.raises(ValueError, match="logits, but this loss takes probabilities"):
        losses.label_loss(loss)


def test_a_label_loss_must_be_one_and_reduce():
    with pytest.raises(ValueError, match="one loss is needed"):
        losses.label_loss([sparse_ce(), sparse_ce()])
    with pytest.raises(ValueError, match="must reduce"):
        losses.label_loss(sparse_ce(reduction=None))


def test_the_helpers_tell_weights_apart():
    assert same(weights_of(mlp(seed=1)), weights_of(mlp(seed=1)))
    assert not same(weights_of(mlp(seed=1)), weights_of(mlp(seed=2)))
