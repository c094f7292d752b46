"""Several teachers that are asked as one."""

import json

import keras
import numpy as np
import pytest

from keras_kd import Distiller, distillation, losses
from keras_kd.distillation import several_teachers
from tests.support.distillers import Subclassed, compiled, evaluated, image_classifier, softmax, spied
from tests.support.networks import mlp, one_block, same, shaken, weights_of
from tests.support.reference import reference_kl

TEMPERATURE = 3.0


def logits_of(models, x):
    return [model.predict(x, verbose=0).astype(np.float64) for model in models]


@pytest.fixture(scope="module")
def teachers():
    return [shaken(mlp(seed=seed, name="same"), seed) for seed in (1, 2, 3)]


def test_what_tells_one_average_of_the_same_teachers_from_another(teachers):
    """For checkpoints: no weight says it."""
    options = [{}, {"weights": [2, 1, 1]}, {"average": "logits"}, {"temperature": 2.0}]
    found = [
        json.dumps(several_teachers.identity(distillation.ensemble(teachers, **each))) for each in options
    ]
    assert len(set(found)) == len(options)
    assert several_teachers.identity(teachers[0]) == {}


@pytest.mark.parametrize("weights", [None, [2, 1, 1], [0.0, 1.0, 3.0]])
def test_the_mean_of_softened_probabilities(teachers, data, weights):
    x, _ = data
    found = distillation.ensemble(teachers, weights, temperature=TEMPERATURE)(x)
    expected = np.average(
        [softmax(each / TEMPERATURE) for each in logits_of(teachers, x)], axis=0, weights=weights
    )
    np.testing.assert_allclose(softmax(np.asarray(found) / TEMPERATURE), expected, rtol=1e-5)


def test_the_mean_of_logits(teachers, data):
    found = distillation.ensemble(teachers, [1, 2, 5], average="logits")(data[0])
    expected = np.average(logits_of(teachers, data[0]), axis=0, weights=[1, 2, 5])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_mean_of_probabilities_is_that_at_one_temperature():
    """As told: at another one a loss reads something else, here 0.770 where the mean at 1 is 0.509."""
    answers = [np.array([[8.0, 0.0]]), np.array([[0.0, 4.0]])]
    found = np.asarray(distillation.several_teachers.AveragedLogits([0.5, 0.5], temperature=4.0)(answers))
    for temperature, own, mean in ((4, 0.575, 0.575), (1, 0.770, 0.509)):
        assert softmax(found / temperature)[0, 0] == pytest.approx(own, abs=5e-4)
        of_each = [softmax(each / temperature)[0, 0] for each in answers]
        assert np.mean(of_each) == pytest.approx(mean, abs=5e-4)


def test_extreme_logits_and_masked_classes():
    average = distillation.several_teachers.AveragedLogits([0.5, 0.5], temperature=1.0)
    answers = [np.array([[60.0, -60.0, -np.inf]]), np.array([[-60.0, 60.0, -np.inf]])]
    found = np.asarray(average(answers))
    np.testing.assert_allclose(found[:, :2], np.log([[0.5, 0.5]]), rtol=1e-6)
    assert found[0, 2] == -np.inf


class Said:
    """What a teacher said of examples, under some views."""

    def __init__(self, logits, views=2):
        self.logits, self.views, self.identity = logits, views, {"teacher": "said"}

    def train(self, view, index):
        return self.logits[index] * (view + 1)

    def validation(self, start, stop):
        return self.logits[start:stop]


def test_an_average_at_another_temperature_than_the_distillers_is_refused(teachers):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for options in ({"temperature": 2.0}, {"average": "logits"}):
        Distiller(distillation.ensemble(teachers, **options), mlp(), temperature=2.0).compile("sgd", loss)
    distiller = Distiller(distillation.ensemble(teachers), mlp(), temperature=2.0)
    with pytest.raises(ValueError, match="make the ensemble with temperature=2.0, .* temperature=4.0"):
        distiller.compile("sgd", loss)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_the_mean_of_what_was_cached(average):
    rng = np.random.default_rng(0)
    said = [rng.normal(scale=5, size=(6, 4)).astype("float32") for _ in range(2)]
    targets = distillation.several_teachers.AveragedTargets(
        [Said(each) for each in said], [3, 1], average, TEMPERATURE
    )
    index = np.array([4, 0, 4])
    of_each = [2 * each.astype("float64")[index] for each in said]
    if average == "logits":
        expected, found = np.average(of_each, axis=0, weights=[3, 1]), targets.train(1, index)
    else:
        expected = np.average([softmax(each / TEMPERATURE) for each in of_each], axis=0, weights=[3, 1])
        found = softmax(targets.train(1, index).astype("float64") / TEMPERATURE)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert targets.validation(2, 5).shape == (3, 4)
    assert targets.validation(2, 5).dtype == np.float32


@pytest.mark.parametrize("kept", [[], [Said(None), Said(None, views=3)]], ids=["none", "other views"])
def test_logits_of_other_views_are_refused(kept):
    with pytest.raises(ValueError, match="must be of the same number of views"):
        distillation.several_teachers.AveragedTargets(kept)


def test_a_distiller_of_several_is_taught_by_their_mean(teachers, data):
    x, y = data
    student, before = mlp(seed=9), [weights_of(each) for each in teachers]
    distiller = compiled(teachers, student, teacher_weights=[2, 1, 1], temperature=TEMPERATURE, alpha=0.6)
    measured = evaluated(distiller, x, y)
    mean = np.average([softmax(z / TEMPERATURE) for z in logits_of(teachers, x)], axis=0, weights=[2, 1, 1])
    (own,) = logits_of([student], x)
    soft = reference_kl(TEMPERATURE * np.log(mean), own, TEMPERATURE).mean()
    assert measured["soft_loss"] == pytest.approx(soft, rel=1e-4)
    assert measured["agreement"] == pytest.approx(np.mean(mean.argmax(-1) == own.argmax(-1)))
    distiller.train_on_batch(x, y)
    assert all(same(one, weights_of(each)) for one, each in zip(before, teachers, strict=True))
    assert {id(each) for each in distiller.trainable_weights} == {id(each) for each in student.weights}


def test_each_runs_in_inference_mode(data):
    (one, spy), (other, second) = spied(1), spied(2)
    distiller = compiled([one, other], mlp(seed=3))
    spy.modes.clear()
    second.modes.clear()
    distiller.train_on_batch(*data)
    assert set(spy.modes) == set(second.modes) == {False}


def test_saved_and_loaded_as_a_teacher(teachers, data, tmp_path):
    x, y = data
    distiller = compiled(teachers, mlp(seed=9), temperature=TEMPERATURE)
    distiller.save(tmp_path / "distiller.keras")
    again = keras.models.load_model(tmp_path / "distiller.keras")
    assert evaluated(again, x, y) == pytest.approx(evaluated(distiller, x, y))


def test_softmax_is_left_out(data):
    keras.utils.set_random_seed(0)
    plain, activated = image_classifier(), image_classifier(activation="softmax")
    activated.set_weights(plain.get_weights())
    pairs = [plain, plain], [activated, plain]
    found = [np.asarray(distillation.ensemble(pair, average="logits")(data[0])) for pair in pairs]
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_outputs_that_are_yes_or_no_take_the_mean_of_logits(teachers, data):
    x, y = data
    yes_or_no = keras.losses.BinaryCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match='take teacher_average="logits"'):
        compiled(teachers, mlp(seed=9), loss=yes_or_no)
    distiller = compiled(teachers, mlp(seed=9), loss=yes_or_no, teacher_average="logits")
    assert np.isfinite(evaluated(distiller, x, np.eye(4, dtype="float32")[y])["soft_loss"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"must be 3 numbers >= 0.*Received: teacher_weights=\[1, 2\]"),
        ([1, -1, 1], "must be 3 numbers"),
        ([0, 0, 0], "not all 0"),
        ([1, float("nan"), 1], "must be 3 numbers"),
        ("abc", "must be 3 numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(teachers, weights, message):
    with pytest.raises(ValueError, match=message):
        Distiller(teachers, mlp(seed=9), teacher_weights=weights)


def test_teachers_that_do_not_fit_are_refused(teachers):
    student = mlp(seed=9)
    with pytest.raises(ValueError, match=r"list of one network or more. Received: \[\]"):
        Distiller([], student)
    with pytest.raises(ValueError, match=r"same classes.* shapes \(None, 4\) .*\(None, 5\) \(teacher 2"):
        Distiller([teachers[0], mlp(classes=5)], student)
    with pytest.raises(ValueError, match=r"same inputs.*\(teacher 2\)"):
        Distiller([teachers[0], image_classifier(shape=(6, 6, 1))], student)
    with pytest.raises(ValueError, match="teacher_average must be one of probabilities, logits"):
        Distiller(teachers, student, teacher_average="votes")
    with pytest.raises(ValueError, match="teacher_weights needs a list of teachers"):
        Distiller(teachers[0], student, teacher_weights=[1.0])
    with pytest.raises(ValueError, match=r"teacher 2 must be a keras\.Model"):
        Distiller([teachers[0], "b.keras"], student)


@pytest.mark.parametrize(
    "term",
    [
        losses.Hint(),
        losses.RelationalKnowledge("head_pool", "head_pool"),
        losses.ClassCentres(),
        keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool"),
    ],
    ids=lambda term: type(term).__name__,
)
def test_losses_of_layers_need_one_teacher(term):
    several, student = [one_block(seed=1), one_block(seed=2)], one_block(seed=3)
    message = rf"{type(term).__name__} looks at layers.* one teacher: .*Received: the mean of 2 teachers"
    for teacher in (several, distillation.ensemble(several)):
        with pytest.raises(ValueError, match=message) as said:
            Distiller(teacher, student, terms=[term])
        assert "\n" not in str(said.value)


def test_subclassed_teachers_of_one_name_are_asked(data):
    x, _ = data
    several = [Subclassed(name="same") for _ in "ab"]
    for each in several:
        each(x)
    found = distillation.ensemble(several, average="logits")(x)
    np.testing.assert_allclose(found, np.mean(logits_of(several, x), axis=0), rtol=1e-5, atol=1e-6)


def pooled(*size):
    image = keras.Input((*size, 1))
    maps = keras.layers.Conv2D(3, 3)(image)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(maps)))


def test_teachers_of_open_sizes_are_asked_beside_those_of_known_ones(data):
    x, _ = data
    sized, half, whole = pooled(8, 8), pooled(8, None), pooled(None, None)
    for several in ([sized, half, whole], [whole, half, sized]):
        found = distillation.ensemble(several, average="logits")
        assert found.input_shape == (None, 8, 8, 1)
        expected = np.mean(logits_of(several, x), axis=0)
        np.testing.assert_allclose(found(x), expected, rtol=1e-5, atol=1e-6)
    assert distillation.ensemble([whole, whole]).input_shape == (None, None, None, 1)
    message = r"the same inputs. .*\(None, 8, 8, 1\) \(teacher 2\) and .* 9, 9, 1\) \(teacher 3\)"
    with pytest.raises(ValueError, match=message):
        distillation.ensemble([whole, sized, pooled(9, 9)])
