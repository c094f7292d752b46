"""`keras-kd train` of a network that loses its shortcuts without a teacher."""

import json

import numpy as np
import pytest

from tests.support.commands import call

pytest.importorskip("tensorflow")

PLAIN = (
    "--student_depth=8",
    "--student_width=4",
    "--student_shortcuts=none",
    "--epochs=2",
    "--batch_size=24",
)


@pytest.mark.slow
def test_a_network_loses_its_shortcuts_without_a_teacher(npz, tmp_path):
    from keras_kd.models import fading, serialization, sums

    given = (f"--dataset={npz}", *PLAIN, "--shortcut_removal=fade", "--fade_end=0.5", "--snapshots=2")
    status, output, errors = call("train", *given, "--out=run", cwd=tmp_path)
    assert (status, errors) == (0, ""), output
    network = serialization.load_model(tmp_path / "run" / "model.keras")
    assert not sums.sums_of(network)
    assert not fading.fading_shortcuts(network)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["shortcut_removal"] == "fade:fade_end=0.5"
    np.testing.assert_allclose(result["history"]["gate"], [0.0, 0.0], atol=1e-6)
    assert result["history"]["val_accuracy_without_shortcuts"] == result["history"]["val_accuracy"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--shortcut_removal=blockwise",), "'blockwise' needs a residual teacher, and train has none: take"),
        (
            ("--shortcut_removal=fade+tails",),
            "'fade+tails' needs a residual teacher, and train has none: take",
        ),
        (("--shortcut_removal=layerwise",), "'layerwise' needs a residual teacher, and train has none: take"),
        (("--student_shortcuts=all", "--shortcut_removal=fade"), "there is no shortcut to lose"),
        (("--fade_end=0.5",), "shortcut_removal='none' has no option 'fade_end'"),
        (("--shortcut_removal=fade", "--fade_start=0.9", "--fade_end=0.5"), "must not lie before fade_start"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(npz, tmp_path, given, message):
    status, _, errors = call("train", f"--dataset={npz}", *PLAIN, *given, "--out=run", cwd=tmp_path)
    assert status == 1
    assert errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_new_classifier_is_not_for_a_network_that_loses_its_shortcuts(tmp_path):
    status, _, errors = call("train", "--init=given.keras", "--shortcut_removal=fade", cwd=tmp_path)
    assert status == 1
    assert "--init gives a trained network a new classifier" in errors
