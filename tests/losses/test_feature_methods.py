"""Losses of features against their definitions in float64: values, gradients, minima, refusals."""

import functools

import numpy as np
import pytest
from keras import ops

from keras_kd import losses
from keras_kd.utils import backend
from tests.support import feature_definitions as definitions

VARIANCE = np.array([0.5, 2.0, 30.0], "float32")


def gaussian(function, teacher, mean):
    return function(teacher, mean, VARIANCE)


# name: (loss, its definition, shapes of the teacher's and the student's features)
METHODS = {
    name: (getattr(losses, name), getattr(definitions, name), *shapes)
    for name, *shapes in (
        ("hint", (2, 4, 3), (2, 2, 3)),
        ("attention_transfer", (2, 2, 3), (4, 2, 2)),
        ("similarity_preserving", (2, 2, 3), (5,)),
        ("relational_distance", (7,), (5,)),
        ("relational_angle", (7,), (5,)),
        ("probability_transfer", (7,), (5,)),
    )
}
METHODS["gaussian_nll"] = (
    functools.partial(gaussian, losses.gaussian_nll),
    functools.partial(gaussian, definitions.gaussian_nll),
    (2, 2, 3),
    (4, 4, 3),
)
OF_ROWS = ("hint", "attention_transfer", "gaussian_nll")  # the others compare examples
QUADRATIC = ("hint", "gaussian_nll")  # central differences are exact whatever their step

every_method = pytest.mark.parametrize("method", METHODS)


def of_scale(scale):
    def change(x):
        return scale * x

    return change


def no_example_alive(x):
    return 0 * x


def one_example_dead(x):
    x[0] = 0
    return x


def two_equal(x):
    x[-1] = x[0]
    return x


def all_equal(x):
    x[:] = x[:1]
    return x


def opposite(x):
    x[1::2] = -x[:1]
    return x


def one_large(x):
    x[0] *= 1e3
    return x


CHANGES = [
    of_scale(1e-4),
    of_scale(1.0),
    of_scale(1e3),
    no_example_alive,
    one_example_dead,
    two_equal,
    all_equal,
    opposite,
    one_large,
]
PLAIN = of_scale(1.0)
# Of teacher and student: each with a plain one, and both alike.
PAIRS = [pair for change in CHANGES for pair in ((PLAIN, change), (change, PLAIN), (change, change))]


def drawn(shapes, batch, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, *shape)).astype("float32") for shape in shapes]


def changed(pair, shapes, batch, seed=0):
    return [change(x) for change, x in zip(pair, drawn(shapes, batch, seed), strict=True)]


@functools.cache
def compiled_gradient(method):
    """`(value, gradient)` with respect to the student's features, compiled."""
    function = METHODS[method][0]
    return backend.value_and_gradient(lambda at, teacher: ops.sum(function(teacher, at[0])))


def gradient(method, teacher, student):
    tensors = [ops.convert_to_tensor(x) for x in (student, teacher)]
    return ops.convert_to_numpy(compiled_gradient(method)([tensors[0]], tensors[1])[1][0])


def exact(method, teacher, student):
    return METHODS[method][1](teacher.astype(np.float64), student.astype(np.float64))


@pytest.mark.parametrize("batch", [1, 2, 5])
@every_method
def test_the_value_is_the_definition_in_float64(method, batch):
    function, _, *shapes = METHODS[method]
    atol = 1e-12 if method == "hint" else 2e-7  # the others are of the size of 1
    for seed, pair in enumerate(PAIRS):
        teacher, student = changed(pair, shapes, batch, seed)
        value = ops.convert_to_numpy(function(teacher, student))
        expected = exact(method, teacher, student)
        assert value.shape == ((batch,) if method in OF_ROWS else ())
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=atol, err_msg=str(pair))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
@every_method
def test_the_gradient_is_central_differences_of_the_definition(method, scale):
    teacher, student = changed((of_scale(scale),) * 2, METHODS[method][2:], 3)
    step = 1.0 if method in QUADRATIC else 1e-5 * scale
    expected = definitions.central_differences(
        lambda at: np.sum(exact(method, teacher, at)), student.astype(np.float64), step
    )
    found = gradient(method, teacher, student)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("raw", [-2.0, 0.5, 5.0])
def test_the_gradient_of_the_variance_is_central_differences_of_the_definition(raw):
    """Of the weight behind it: variance = softplus(weight) + 1e-5, one a channel."""
    teacher, student = drawn([(2, 2, 3), (4, 4, 2)], 3)
    loss = losses.VariationalInformation("a", "b")
    adaptor = loss.make_adaptor([(None, 2, 2, 3)], [(None, 4, 4, 2)])
    weights = raw + np.array([-0.5, 0.0, 1.0])
    (variable,) = [each for each in adaptor.trainable_variables if each.name == "raw_variance"]
    variable.assign(weights)
    mean = ops.convert_to_numpy(adaptor([student])[0][0]).astype(np.float64)

    def definition(at):
        variance = np.log1p(np.exp(at)) + 1e-5
        return np.sum(definitions.gaussian_nll(teacher.astype(np.float64), mean, variance))

    def value(at):
        values = [at[0] if each is variable else each.value for each in adaptor.trainable_variables]
        predicted, _ = adaptor.stateless_call(values, [], [student])
        return ops.sum(loss.call([teacher], [student], adaptor=lambda _: predicted))

    points = [ops.convert_to_tensor(weights, "float32")]
    found, (gradient,) = backend.value_and_gradient(value)(points)
    assert float(found) == pytest.approx(definition(weights), rel=1e-5)
    expected = definitions.central_differences(definition, weights, 1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(gradient), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.01


@every_method
def test_value_and_gradient_are_finite_whatever_the_features(method):
    for pair in PAIRS:
        found = gradient(method, *changed(pair, METHODS[method][2:], 3))
        assert np.isfinite(found).all(), pair


@pytest.mark.parametrize("change", CHANGES)
@every_method
def test_the_minimum_is_the_teacher_itself(method, change):
    function, _, shape, _ = METHODS[method]
    teacher = change(*drawn([shape], 3))
    value = ops.convert_to_numpy(function(teacher, teacher))
    minimum = np.mean(np.log(VARIANCE)) / 2 if method == "gaussian_nll" else 0.0
    np.testing.assert_allclose(value, minimum, atol=1e-7)


@pytest.mark.parametrize("method", ["attention_transfer", *(name for name in METHODS if name not in OF_ROWS)])
def test_the_scale_of_the_features_does_not_count(method):
    function, _, *shapes = METHODS[method]
    teacher, student = drawn(shapes, 4)
    value, scaled = function(teacher, student), function(1e-20 * teacher, 1e20 * student)
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (scaled, value)), rtol=1e-5)


@every_method
def test_features_of_few_digits_are_compared_in_float32(method):
    function, _, *shapes = METHODS[method]
    teacher, student = (ops.cast(10 * x, "float16") for x in drawn(shapes, 3))
    value = function(teacher, student)
    given = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (teacher, student))
    np.testing.assert_allclose(ops.convert_to_numpy(value), exact(method, *given), rtol=1e-5)


@every_method
def test_what_is_no_number_is_not_hidden(method):
    teacher, student = drawn(METHODS[method][2:], 3)
    student[1] = np.nan
    value = ops.convert_to_numpy(METHODS[method][0](teacher, student))
    assert np.isnan(value[1] if method in OF_ROWS else value)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (losses.hint, [(2, 4, 4, 3), (2, 3, 4, 3)]),
        (losses.hint, [(2, 4, 4, 3), (2, 4, 4, 1)]),
        (losses.hint, [(2, 4), (2, 4, 4, 4)]),
        (losses.attention_transfer, [(2, 5), (2, 5)]),
        (losses.attention_transfer, [(2, 4, 4, 3), (2, 8, 6, 3)]),
    ],
)
def test_features_that_cannot_be_compared_are_refused(function, shapes):
    with pytest.raises(ValueError, match=r"Received: shape") as refused:
        function(*map(np.ones, shapes))
    assert "\n" not in str(refused.value)
    assert str(shapes[0]) in str(refused.value)


def test_similarities_by_hand():
    """Rows of G over their length: the identity for the teacher, (1, 1) / sqrt 2 twice for the student."""
    value = losses.similarity_preserving(np.eye(2), np.ones((2, 3)))
    assert float(value) == pytest.approx(2 * ((1 - 0.5**0.5) ** 2 + 0.5) / 4, rel=1e-6)


def test_distances_by_hand():
    """Points on a line: distances 1, 1, 2 over 4/3 for the teacher, 1, 2, 3 over 2 for the student."""
    value = losses.relational_distance(np.array([[0.0], [1], [2]]), np.array([[0.0], [1], [3]]))
    gaps = [3 / 4 - 1 / 2, 3 / 4 - 1, 3 / 2 - 3 / 2]
    assert float(value) == pytest.approx(2 * sum(gap**2 / 2 for gap in gaps) / 9, rel=1e-6)
