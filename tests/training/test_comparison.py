"""A teacher, the student alone and the student distilled: measured alike, both students from one start."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_kd import training
from keras_kd.data import datasets
from keras_kd.distillation import shortcut_removal
from keras_kd.models import fading, weights
from keras_kd.training import comparison, labels, second_process
from tests.support.networks import one_block, same, weights_of

SETTINGS = training.Settings(epochs=2, batch_size=24, strategy="none")


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


@pytest.mark.slow
def test_it_trains_and_measures_what_single_calls_do(dataset, tmp_path):
    found = training.compare(
        one_block(seed=1),
        one_block(seed=2, shortcuts=False),
        one_block(seed=2, shortcuts=False),
        dataset,
        SETTINGS,
        baseline="teacher",
        temperature=2.0,
        alpha=0.5,
        folder=tmp_path,
    )
    teacher, alone, distilled = (
        one_block(seed=1),
        one_block(seed=2, shortcuts=False),
        one_block(seed=2, shortcuts=False),
    )
    training.train(teacher, dataset, SETTINGS)
    training.train(alone, dataset, SETTINGS)
    training.distill(teacher, distilled, dataset, SETTINGS, temperature=2.0, alpha=0.5)
    for label, model in (("teacher", teacher), ("student_alone", alone), ("student_distilled", distilled)):
        assert same(weights_of(found.models[label]), weights_of(model))
        row = found.networks[label]
        measured = training.evaluate(model, dataset, teacher=teacher)
        assert (row.accuracy, row.loss, row.agreement) == tuple(
            measured[n] for n in ("accuracy", "loss", "agreement")
        )
        assert row.parameters == weights.count_parameters(model)
        assert (tmp_path / labels.network_file(label)).is_file()
    accuracy = {label: row.accuracy for label, row in found.networks.items()}
    assert found.effects.drop == pytest.approx(accuracy["teacher"] - accuracy["student_alone"])
    assert found.effects.gain == pytest.approx(accuracy["student_distilled"] - accuracy["student_alone"])
    assert found.effects.test_images == len(dataset.test.labels)
    assert (tmp_path / "curves.png").is_file()
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["networks"]["teacher"]["accuracy"] == accuracy["teacher"]
    assert list(plain["history"]) == ["teacher", "student_alone", "student_distilled"]


@pytest.mark.slow
def test_a_trained_teacher_stays_as_it_is_and_a_baseline_is_trained(dataset):
    teacher = one_block(seed=1)
    before = weights_of(teacher)
    asked = []
    found = training.compare(
        teacher,
        one_block(seed=2, shortcuts=False),
        one_block(seed=2, shortcuts=False),
        dataset,
        SETTINGS,
        train_teacher=False,
        baseline=one_block(seed=2),
        callbacks=lambda label, network: asked.append(label) or (),
    )
    assert same(before, weights_of(teacher))
    assert found.networks["teacher"].seconds is None
    assert list(found.history) == ["baseline", "student_alone", "student_distilled"]
    assert asked == list(found.history)
    baseline, alone = (found.networks[label].accuracy for label in ("baseline", "student_alone"))
    assert found.effects.drop == pytest.approx(baseline - alone)


@pytest.mark.slow
@pytest.mark.last  # operations stay deterministic
def test_a_second_process_changes_no_number(dataset, tmp_path):
    removal = shortcut_removal.make("fade", fade_end=0.5)
    settings = dataclasses.replace(SETTINGS, deterministic=True)

    def compared(jobs):
        networks = [one_block(seed=2, shortcuts=False) for _ in range(3)]
        return training.compare(
            one_block(seed=1),
            *networks[:2],
            dataset,
            settings,
            student_removed=networks[2],
            shortcut_removal=removal,
            folder=tmp_path / str(jobs),
            jobs=jobs,
        )

    one, two = compared(1), compared(2)
    assert list(one.history) == list(two.history) == list(one.models)
    assert one.history == two.history
    for label, model in one.models.items():
        assert same(weights_of(two.models[label]), weights_of(model)), label


@pytest.mark.slow
def test_what_the_second_process_cannot_do_is_done_here(dataset, tmp_path, capsys):
    network = one_block(seed=2, shortcuts=False)
    with second_process.SecondProcess() as second:
        second.begin(Failing(SETTINGS), "student_alone", network)
        second.wait("student_alone")
    assert "student_alone: its own process ended (no luck), it is trained here" in capsys.readouterr().out


@dataclasses.dataclass(frozen=True)
class Failing:
    settings: training.Settings

    def __call__(self, label, network, teacher):
        raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jobs": 3}, "jobs must be a whole number from 1 to 2. Received: jobs=3"),
        (
            {"jobs": 2},
            "two jobs need a folder, where they meet, .*Received: jobs=2, folder=None",
        ),
    ],
)
def test_wrong_numbers_of_jobs_are_named(dataset, given, message):
    with pytest.raises(ValueError, match=message):
        training.compare(None, None, None, dataset, SETTINGS, **given)


def test_networks_at_a_time_need_one_device(dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(comparison.strategy, "parts_of_batch", lambda settings: 2)
    with pytest.raises(ValueError, match="two jobs need a folder, where they meet, and one device"):
        training.compare(None, None, None, dataset, SETTINGS, jobs=2, folder=tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temperature": 0}, "temperature.* must .* Received: temperature=0"),
        ({"alpha": 2}, "alpha.* must .* Received: alpha=2"),
        ({"alpha_epochs": -1}, "alpha_epochs must be .* Received: alpha_epochs=-1"),
        ({"terms": [keras.distillation.FeatureDistillation("mse", "nope", "x")]}, "'nope'"),
        ({"loss": "rkd"}, "take batches of two or"),
    ],
)
def test_losses_are_checked_before_any_network_is_trained(dataset, monkeypatch, given, message):
    monkeypatch.setattr(comparison.Trainings, "run", lambda *args: pytest.fail("trained"))
    plain = one_block(seed=2, shortcuts=False)
    settings = dataclasses.replace(SETTINGS, batch_size=1)
    with pytest.raises(ValueError, match=message):
        training.compare(one_block(seed=1), plain, plain, dataset, settings, **given)


def test_networks_are_checked_once_and_before_any_is_trained(dataset, monkeypatch):
    def stop(*args):
        raise InterruptedError

    monkeypatch.setattr(comparison.Trainings, "run", stop)
    plain = one_block(seed=2, shortcuts=False)
    fading_one = fading.with_fading_shortcuts(plain, [(0, 9)])
    given = one_block(seed=1), fading_one, plain, dataset, SETTINGS
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        training.compare(*given)
    with pytest.raises(InterruptedError):
        training.compare(*given, checked=True)
    fade = {"student_removed": fading_one, "shortcut_removal": shortcut_removal.make("fade")}
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        training.compare(given[0], plain, plain, dataset, SETTINGS, **fade)
    with pytest.raises(ValueError, match="go together. Received: student_removed=None"):
        training.compare(given[0], plain, plain, dataset, SETTINGS, shortcut_removal=fade["shortcut_removal"])


def test_the_loss_of_a_network_that_rules_out_a_labelled_class_has_no_number_in_json():
    found = comparison.NetworkResult(accuracy=0.9, loss=np.inf, parameters=10, seconds=1.0)
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert stored == {"accuracy": 0.9, "loss": None, "parameters": 10, "seconds": 1.0}
    assert comparison.NetworkResult.from_json(stored) == dataclasses.replace(found, loss=None)


def right(count, of=400):
    """A network that classifies the first images right."""
    return np.arange(of) < count


def test_effects_have_intervals_over_the_test_images():
    found = {"teacher": right(360), "student_alone": right(200), "student_distilled": right(280)}
    effects = comparison.effects_of(found, "teacher")
    assert (effects.drop, effects.gain, effects.recovery) == pytest.approx((0.4, 0.2, 0.5))
    for name in ("drop", "gain", "recovery"):
        low, high = getattr(effects, f"{name}_interval")
        assert low < getattr(effects, name) < high
    assert effects.test_images == 400


def test_without_the_twin_there_is_a_gain_alone():
    found = {"teacher": right(360), "student_alone": right(200), "student_distilled": right(280)}
    effects = comparison.effects_of(found, "baseline")
    assert (effects.drop, effects.drop_interval) == (None, None)
    assert (effects.recovery, effects.recovery_interval) == (None, None)
    assert effects.gain_interval == comparison.effects_of(found, "teacher").gain_interval


@pytest.mark.parametrize("twin", [199, 200, 202])
def test_a_drop_that_the_images_do_not_show_has_no_recovery(twin):
    """Two images more are no drop: a ratio would be noise."""
    found = {"teacher": right(twin), "student_alone": right(200), "student_distilled": right(201)}
    effects = comparison.effects_of(found, "teacher")
    assert effects.drop == (twin - 200) / 400
    assert (effects.recovery, effects.recovery_interval) == (None, None)
