"""What runs are called where people read."""

import dataclasses

import pytest

from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import naming, summary
from keras_kd.study.runner import RunRecord

RESIDUAL = Run(20, "residual", 8)
WIDE = Run(20, "residual", 16)
PLAIN = Run(20, "plain", 8)


def taught(teacher=RESIDUAL, control=None, **options):
    return Run(20, "plain + KD", 8, teacher=Teacher(teacher, control), **options)


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (RESIDUAL, "residual-20, width 8"),
        (dataclasses.replace(PLAIN, dropout=0.1), "plain-20, width 8, dropout 0.1"),
        (taught(), "plain-20, width 8, taught by residual-20 (T 4, alpha 0.9)"),
        (taught(WIDE, loss="dkd"), "plain-20, width 8, taught by residual-20 of width 16 (dkd)"),
        (
            taught(WIDE, loss="kd+at", alpha_epochs=3),
            "plain-20, width 8, taught by residual-20 of width 16 (kd+at, T 4, alpha 0.9, for 3 epochs)",
        ),
        (
            taught(WIDE, loss="kd+at:weight=500+dkd:temperature=2"),
            "plain-20, width 8, taught by residual-20 of width 16 (kd+at (weight 500)+dkd (temperature 2), "
            "T 4, alpha 0.9)",
        ),
        (
            taught(shortcut_removal="fade+merge:fade_end=0.7"),
            "plain-20, width 8, fade+merge (fade_end 0.7), taught by residual-20 (T 4, alpha 0.9)",
        ),
        (
            taught(shortcut_removal="fade"),
            "plain-20, width 8, fade, taught by residual-20 (T 4, alpha 0.9)",
        ),
        (
            taught(control="smoothing"),
            "plain-20, width 8, taught by label smoothing in place of residual-20 (T 4, alpha 0.9)",
        ),
        (
            taught(dataclasses.replace(taught(WIDE), depth=14)),
            "plain-20, width 8, taught by [plain-14 taught by residual-20 of width 16 (T 4, alpha 0.9)] "
            "(T 4, alpha 0.9)",
        ),
        (
            taught(dataclasses.replace(RESIDUAL, initial_weights="own")),
            "plain-20, width 8, taught by residual-20 of own initial weights (T 4, alpha 0.9)",
        ),
        (
            Run(None, "network + KD", None, student="wide_resnet:10:1", teacher=Teacher(WIDE)),
            "wide_resnet:10:1, taught by residual-20 of width 16 (T 4, alpha 0.9)",
        ),
    ],
)
def test_a_run_in_words(run, title):
    assert naming.title(run) == title


def test_runs_that_failed_are_told_apart():
    """By all that a row knows, where no run of theirs has a title."""
    base = taught(WIDE)
    changes = ({}, {"shortcut_removal": "fade"}, {"shortcut_removal": "merge"}, {"temperature": 2.0})
    changes += ({"alpha": 0.5}, {"loss": "dkd"}, {"loss": "kd+at:weight=10"}, {"alpha_epochs": 1})
    runs = [dataclasses.replace(base, **each) for each in changes]
    rows = summary.rows({run: RunRecord(run, error="lost") for run in runs})
    titles = [naming.title_of_row(row, {}) for row in rows]
    assert len(set(titles)) == len(runs)
    assert titles[0] == "plain-20, width 8, taught by r20w16 (T 4, alpha 0.9), seed 0"
    assert titles[1] == "plain-20, width 8, fade, taught by r20w16 (T 4, alpha 0.9), seed 0"
    assert titles[-1] == "plain-20, width 8, taught by r20w16 (T 4, alpha 0.9, for 1 epoch), seed 0"


def test_a_line_over_depth_has_no_depth_in_its_name():
    labels = {
        naming.label(run) for run in (taught(), dataclasses.replace(taught(Run(32, "residual", 8)), depth=32))
    }
    assert labels == {"plain, width 8, taught by its residual twin (T 4, alpha 0.9)"}
    other = dataclasses.replace(RESIDUAL, initial_weights="own")
    by_twin = "taught by its residual twin"
    assert naming.label(taught(other)) == f"plain, width 8, {by_twin} of own initial weights (T 4, alpha 0.9)"
    own = taught(initial_weights="own")
    assert naming.label(own) == f"plain, width 8, own initial weights, {by_twin} (T 4, alpha 0.9)"
    assert naming.label(taught(WIDE)) == "plain, width 8, taught by residual-20 of width 16 (T 4, alpha 0.9)"
    assert naming.label(taught(control="shuffled")).startswith(
        "plain, width 8, taught by shuffled logits of its residual twin"
    )


def test_what_differs_differs_in_its_name():
    base = taught(WIDE)
    others = {
        "depth": 32,
        "width": 4,
        "dropout": 0.2,
        "weight_decay": 0.0,
        "augmentation": "none",
        "label_fraction": 0.5,
        "loss": "kd+at:weight=10",
        "temperature": 2.0,
        "alpha": 0.5,
        "alpha_epochs": 2,
        "shortcut_removal": "merge",
        "variant": "residual + KD",
        "teacher": Teacher(WIDE, "untrained"),
    }
    runs = [base]
    for name, value in others.items():
        runs.append(dataclasses.replace(base, **{name: value}))
    assert len({run.condition for run in runs}) == len({naming.title(run) for run in runs}) == len(runs)
