"""ReviewKD: stages fused from deep to shallow, compared at several scales."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

import keras_kd
from keras_kd import Distiller, losses
from keras_kd.models import stages
from keras_kd.utils import backend
from tests.support.distillers import compiled, evaluated
from tests.support.networks import one_block, resnet8, same, shaken, weights_of

NAME = "knowledge_review_loss"


def averaged(maps, height, width):
    """Maps [h, w, channels] of one example, place by place."""

    def window(place, old, new):
        return slice(place * old // new, -(-(place + 1) * old // new))

    h, w, channels = maps.shape
    found = np.zeros((height, width, channels))
    for i, j in np.ndindex(height, width):
        found[i, j] = maps[window(i, h, height), window(j, w, width)].mean(axis=(0, 1))
    return found


def context(teacher, student):
    """Example by example, in float64."""
    values = []
    for t, s in zip(teacher.astype(np.float64), student.astype(np.float64), strict=True):
        height, width, _ = s.shape
        weights, parts = [1.0], [np.mean((t - s) ** 2)]
        for size in (4, 2, 1):
            if size < max(height, width):
                sizes = min(size, height), min(size, width)
                weights.append(weights[-1] / 2)
                parts.append(np.mean((averaged(t, *sizes) - averaged(s, *sizes)) ** 2))
        values.append(np.average(parts, weights=weights))
    return np.array(values)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (2, 4, 4, 2), (2, 1, 1, 5), (3, 7, 5, 2), (2, 8, 2, 1)])
def test_equal_to_the_definition(rng, shape, scale):
    teacher, student = ((scale * rng.normal(size=shape)).astype("float32") for _ in "ts")
    found = losses.hierarchical_context(teacher, student)
    assert np.asarray(found).shape == shape[:1]
    np.testing.assert_allclose(found, context(teacher, student), rtol=1e-5)
    np.testing.assert_array_equal(losses.hierarchical_context(teacher, teacher), np.zeros(shape[0]))


def test_maps_of_two_sizes_and_what_is_no_map(rng):
    large, small = rng.normal(size=(2, 8, 8, 3)), rng.normal(size=(2, 4, 4, 3))
    pooled = np.stack([averaged(maps, 4, 4) for maps in large])
    for pair, expected in (((large, small), (pooled, small)), ((small, large), (small, pooled))):
        np.testing.assert_allclose(losses.hierarchical_context(*pair), context(*expected), rtol=1e-5)
    with pytest.raises(ValueError, match=r"\[batch, height, width, channels\] are needed.*\(2, 3\)"):
        losses.hierarchical_context(np.ones((2, 3)), np.ones((2, 3)))


def test_gradients_are_finite_differences(rng):
    teacher, student = rng.normal(size=(2, 2, 5, 5, 2))
    points = [ops.convert_to_tensor(student, "float32")]
    gradient = backend.value_and_gradient(
        lambda points: ops.sum(losses.hierarchical_context(teacher, points[0]))
    )
    _, (found,) = gradient(points)
    for place in [(0, 0, 0, 0), (0, 2, 2, 1), (1, 4, 3, 0)]:
        step = np.zeros(student.shape)
        step[place] = 1e-4
        above, below = (context(teacher, student + sign * step).sum() for sign in (1, -1))
        assert ops.convert_to_numpy(found)[place] == pytest.approx((above - below) / 2e-4, abs=1e-5)


def fused(fusion, maps):
    """What the layer does in inference, in NumPy: convolutions as sums over shifted maps."""

    def norm_conv(block, x):
        conv, norm = block.layers
        gamma, beta, mean, variance = (np.asarray(each, np.float64) for each in norm.get_weights())
        return gamma * (_conv(conv, x) - mean) / np.sqrt(variance + 1e-5) + beta

    results, below = [], None
    for place in reversed(range(len(maps))):
        x = norm_conv(fusion.reduce[place], maps[place].astype(np.float64))
        if below is not None:
            factor = x.shape[1] // below.shape[1]
            below = below.repeat(factor, axis=1).repeat(factor, axis=2)
            scores = _conv(fusion.attend[place], np.concatenate([x, below], axis=-1))
            shares = 1 / (1 + np.exp(-scores))
            x = x * shares[..., :1] + below * shares[..., 1:]
        below = x
        results.insert(0, norm_conv(fusion.expand[place], x))
    return results


def _conv(layer, x):
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    size = len(kernel)
    padded = np.pad(x, [(0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    h, w = x.shape[1:3]
    parts = [padded[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(size) for j in range(size)]
    return sum(parts) + (layer.get_weights()[1] if layer.use_bias else 0)


def networks():
    """A teacher of other widths than the student's, with three stages each."""
    keras.utils.set_random_seed(1)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=2), resnet8(shortcuts=False)


@pytest.fixture
def colour(rng):
    return rng.normal(size=(12, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 12)


def maps_of(model, x):
    names = list(stages.stage_ends(model).values())
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return [ops.convert_to_numpy(each) for each in outputs(x, training=False)]


def test_the_term_is_the_definition_of_fused_stages(colour):
    x, y = colour
    teacher, student = networks()
    distiller = compiled(teacher, student, terms=[losses.KnowledgeReview()])
    fusion = shaken(distiller.adaptors[NAME])
    expected = fused(fusion, maps_of(student, x))
    for own, other in zip(fusion(maps_of(student, x)), expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)
    values = sum(context(t, s) for t, s in zip(maps_of(teacher, x), expected, strict=True))
    assert evaluated(distiller, x, y)[NAME] == pytest.approx(values.mean(), rel=1e-4)


@pytest.mark.slow
def test_its_weights_are_trained_and_saved_and_in_no_student(colour, tmp_path):
    x, y = colour
    teacher, student = networks()
    count = student.count_params()
    distiller = compiled(teacher, student, terms=[losses.KnowledgeReview()])
    before = weights_of(distiller.adaptors[NAME])
    distiller.train_on_batch(x, y)
    after = weights_of(distiller.adaptors[NAME])
    assert not any(map(np.array_equal, before, after))  # statistics of BatchNorm included
    evaluated(distiller, x, y)
    assert same(after, weights_of(distiller.adaptors[NAME]))
    distiller.save(tmp_path / "whole.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    assert same(after, weights_of(again.adaptors[NAME]))
    assert student.count_params() == count


@pytest.mark.slow
def test_half_precision_xla_and_one_dead_example(data):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        pair = one_block(seed=1, channels=1), one_block(seed=2, channels=1, shortcuts=False)
    finally:
        keras.config.set_dtype_policy("float32")
    distiller = compiled(*pair, terms=[losses.KnowledgeReview()], jit_compile=True)
    logs = distiller.train_on_batch(0 * data[0][:1], data[1][:1], return_dict=True)
    assert np.isfinite(logs["loss"])
    assert {weight.dtype for weight in distiller.adaptors[NAME].weights} == {"float32"}


def test_layers_that_it_cannot_compare_are_refused():
    make = functools.partial(one_block, channels=1)
    with pytest.raises(ValueError, match=r"'head_pool' .*take layers with feature maps.*\(None, 4\)"):
        Distiller(make(), make(), terms=[losses.KnowledgeReview(["head_pool"], ["head_pool"])])
    with pytest.raises(ValueError, match="KnowledgeReview needs the teacher itself"):
        Distiller(None, make(), terms=[losses.KnowledgeReview()])


FIRST, SECOND, LAST = (f"stage{i}_block1_out" for i in (1, 2, 3))


@pytest.mark.parametrize(
    ("of_teacher", "of_student", "message"),
    [
        ([SECOND, FIRST], [SECOND, FIRST], rf"'{SECOND}' \(4, 4\), '{FIRST}' \(8, 8\) of .* \(teacher\)"),
        ([FIRST, SECOND], [LAST, SECOND], rf"'{LAST}' \(2, 2\), '{SECOND}' \(4, 4\) of .* \(student\)"),
        ([FIRST, SECOND], [FIRST, FIRST], rf"'{FIRST}' \(8, 8\), '{FIRST}' \(8, 8\) of .* \(student\)"),
        ([FIRST, FIRST], [FIRST, SECOND], rf"'{FIRST}' \(8, 8\), '{FIRST}' \(8, 8\) of .* \(teacher\)"),
    ],
    ids=["both reversed", "student reversed", "student's twice", "teacher's twice"],
)
def test_layers_that_do_not_go_from_shallow_to_deep_are_refused(of_teacher, of_student, message):
    with pytest.raises(ValueError, match=f"each once, from shallow to deep.*Received: {message}") as said:
        Distiller(*networks(), terms=[losses.KnowledgeReview(of_teacher, of_student)])
    assert "\n" not in str(said.value)


def test_layers_of_one_size_may_follow_each_other():
    layers = ["stage1_block1_conv1", FIRST, LAST]
    (term,) = Distiller(*networks(), terms=[losses.KnowledgeReview(layers, layers)]).terms.values()
    assert term.student_layers == layers
