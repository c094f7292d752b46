"""Sentences of distill and train: each case of gain, drop, test images and epochs."""

import dataclasses

import numpy as np
import pytest

from keras_kd.cli import answers
from keras_kd.training import comparison

LABELS = ("teacher", "student_alone", "student_distilled")


def effects(twin, alone, taught, of=400):
    """Of networks that are right on the first so many images."""
    right = {label: np.arange(of) < count for label, count in zip(LABELS, (twin, alone, taught), strict=True)}
    return comparison.effects_of(right, "teacher")


def told(twin, alone, taught, of=400):
    networks = {label: count / of for label, count in zip(LABELS, (twin, alone, taught), strict=True)}
    return answers.distillation(networks, {"student_distilled": effects(twin, alone, taught, of)})


def test_a_gain_is_told_with_its_interval():
    gain, shortcuts = told(360, 200, 280)
    assert gain.startswith("KD raised the student's accuracy by 20.0 points, from 50.0% to 70.0% (+16.")
    assert gain.endswith(" over 400 test images; one seed: no interval over seeds).")
    assert shortcuts.startswith(
        "Without shortcuts the student alone is 40.0 points below its residual twin (+35."
    )
    assert "the student distilled is 20.0 points below it: a recovery of 0.50 (0.4" in shortcuts


def test_a_student_that_became_worse_is_called_so():
    gain, _ = told(360, 280, 200)
    assert gain.startswith(
        "KD made the student worse: it lowered its accuracy by 20.0 points, from 70.0% to 50.0% (-23."
    )


def test_what_the_interval_does_not_decide_is_undecided():
    gain, shortcuts = told(203, 200, 202)
    assert gain.startswith(
        "KD changed the student's accuracy by +0.5 points, from 50.0% to 50.5%: undecided (-0."
    )
    assert shortcuts.startswith(
        "Whether accuracy drops without shortcuts is undecided: the student alone is 0.8 points below its"
    )


def test_a_drop_is_told_in_the_direction_of_its_interval():
    """The interval of a student above its twin is that of how far it is above."""
    found = effects(200, 200, 200)
    for drop, ends, told_so in (
        (
            0.031,
            (-0.027, 0.087),
            "is undecided: the student alone is 3.1 points below its residual twin (-2.7",
        ),
        (
            -0.01,
            (-0.05, 0.03),
            "is undecided: the student alone is 1.0 points above its residual twin (-3.0 to",
        ),
        (
            -0.1,
            (-0.15, -0.05),
            "nothing to win back: the student alone is 10.0 points above its residual twin ",
        ),
    ):
        changed = dataclasses.replace(found, drop=drop, drop_interval=ends)
        *_, shortcuts = answers.distillation(dict.fromkeys(LABELS, 0.5), {"student_distilled": changed})
        assert told_so in shortcuts
    assert shortcuts.endswith("(+5.0 to +15.0).")


def test_twelve_test_images_say_nothing():
    gain, _ = told(12, 9, 10, of=12)
    assert "12 test images are too few to say anything (" in gain


def test_the_student_that_a_run_is_about_is_told_first_and_beside_its_twin():
    networks = dict(zip((*LABELS, "student_fade"), (0.9, 0.5, 0.6, 0.91), strict=True))
    both = {"student_distilled": effects(360, 200, 240), "student_fade": effects(360, 200, 364)}
    faded, distilled, shortcuts = answers.distillation(networks, both, loss="dkd")
    assert faded.startswith("dkd with fade raised the student's accuracy by 41.0 points, from 50.0% to 91.0%")
    assert distilled.startswith("dkd raised the student's accuracy by 10.0 points")
    assert "the student fade is 1.0 points above it" in shortcuts


def test_without_the_twin_neither_drop_nor_recovery_is_told():
    none = dict.fromkeys(("drop", "drop_interval", "recovery", "recovery_interval"))
    found = dataclasses.replace(effects(360, 200, 280), **none)
    networks = {"student_alone": 0.5, "student_distilled": 0.7}
    assert len(answers.distillation(networks, {"student_distilled": found})) == 1


@pytest.mark.parametrize(
    ("epochs", "accuracies", "words"),
    [
        (1, [0.5], "A run of 1 epoch decides nothing"),
        (2, [0.5, 0.5], "A run of 2 epochs decides nothing"),
        (10, [0.1] * 8 + [0.2, 0.25], "student alone's accuracy in training still rose by 15.0 points"),
        (10, [0.1] * 8 + [0.1, 0.105], None),
        (10, None, None),
    ],
)
def test_a_short_run_is_called_so(epochs, accuracies, words):
    histories = {"teacher": {"accuracy": [0.9] * epochs}, "student_alone": {"accuracy": accuracies}}
    sentences = answers.short_run([histories, histories], epochs)
    assert len(sentences) == (words is not None)
    assert words is None or words in sentences[0]


def test_a_trained_network_is_told_with_wilsons_interval():
    result = {
        "network": "resnet20",
        "measured": {"accuracy": 0.5},
        "dataset": {"examples": {"test": 100}},
        "settings": {"epochs": 30},
    }
    (sentence,) = answers.of_training(result)
    # by hand: z = 1.96, (0.5 + z^2/200 +- z sqrt(0.25/100 + z^2/40000)) / (1 + z^2/100)
    assert sentence == (
        "resnet20 is right on 50.0% of 100 test images (40.4% to 59.6%; one seed: no interval over seeds)."
    )
    few = result | {"dataset": {"examples": {"test": 12}}}
    assert "too few images to say more" in answers.of_training(few)[0]
    decisions = result | {"multi_label": True}
    assert "decides 50.0% of the classes of 100 test images right" in answers.of_training(decisions)[0]
