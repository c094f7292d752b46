"""What a model card says of a network's training."""

import pytest

from keras_kd.export import bundle, sources
from keras_kd.utils import files

RESULT = {
    "settings": {"epochs": 3},
    "versions": {"keras": "3"},
    "temperature": 4.0,
    "alpha": 0.9,
    "shortcut_removal": "fade+merge:fade_end=0.6",
}


@pytest.mark.parametrize(
    ("name", "is_distilled", "lost_shortcuts"),
    [
        ("student_fade_merge", True, True),
        ("student", True, False),
        ("student_alone", False, False),
        ("teacher", False, False),
        ("model", False, False),
    ],
)
def test_a_card_tells_the_teacher_and_how_shortcuts_were_lost(name, is_distilled, lost_shortcuts, tmp_path):
    source = sources.Source(tmp_path / f"{name}.keras", name, None, None, RESULT)
    lines = bundle.recipe(source)
    assert (lines[0], lines[-1]) == ("epochs 3", "Trained with keras 3.")
    told = " ".join(lines)
    assert ("Distilled from a teacher, temperature 4.0, alpha 0.9" in told) == is_distilled
    assert ("Its shortcuts were removed in training: fade+merge:fade_end=0.6." in told) == lost_shortcuts


def test_a_run_of_before_shortcut_removal_has_its_card(tmp_path):
    older = {key: value for key, value in RESULT.items() if key != "shortcut_removal"}
    lines = bundle.recipe(sources.Source(tmp_path / "student.keras", "a", None, None, older))
    assert len(lines) == 3


@pytest.mark.parametrize("wrong", [{"settings": None}, {"versions": 3}, {"shortcut_removal": []}])
def test_a_result_that_does_not_say_how_it_was_trained_is_named(wrong, tmp_path):
    source = sources.Source(tmp_path / "student.keras", "a", None, None, RESULT | wrong)
    with pytest.raises(files.DamagedFileError, match=r"result\.json is damaged \(it does not say what it"):
        bundle.recipe(source)


def test_a_run_is_the_same_by_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    linked, real = (
        sources.Source(tmp_path / name / "model.keras", "a", None, None, RESULT) for name in ("link", "run")
    )
    assert sources.is_run(linked, sources.run_of(real))
    assert sources.is_run(real, sources.run_of(linked))
    assert not sources.is_run(real, str(tmp_path))
