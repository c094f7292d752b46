"""Which networks of a study are compared, and what a run that is no study holds."""

import dataclasses
import json

import pytest

from keras_kd.study import design
from keras_kd.study.findings import summary
from keras_kd.study.findings.networks import LABELS, read_groups, twin_triplets
from keras_kd.study.runner import RunRecord


def rows(*runs, failed=()):
    records = {run: RunRecord(run, error="lost" if run in failed else None) for run in runs}
    return summary.rows(records)


def trained(seed=0, teacher=None, **settings):
    """A residual network, its plain twin, and the one that the first, or another teacher, taught."""
    residual = design.Run(settings.pop("depth", 20), width=settings.pop("width", 8), seed=seed, **settings)
    plain = dataclasses.replace(residual, variant="plain")
    taught = dataclasses.replace(plain, variant="plain + KD", teacher=design.Teacher(teacher or residual))
    return residual, plain, taught


def test_triplets_share_all_but_shortcuts_and_teacher():
    usual, wide, other = trained(), trained(width=16), trained(seed=1)
    decayed = trained(weight_decay=0.005)
    cooler = dataclasses.replace(usual[2], temperature=2.0)
    found = twin_triplets(rows(*decayed, *other, *wide, *usual, cooler))
    assert [(triplet.kind, triplet.seed) for triplet in found] == [
        ("depth 20, width 8, temperature 2.0", 0),
        ("depth 20, width 8", 0),
        ("depth 20, width 8", 1),
        ("depth 20, width 8, weight decay 0.005", 0),
        ("depth 20, width 16", 0),
    ]
    assert found[1].runs == dict(zip(LABELS, (run.key for run in usual), strict=True))
    assert found[0].runs["plain + KD"] == cooler.key
    assert found[0].runs["plain"] == usual[1].key


def test_a_teacher_or_student_of_own_initial_weights_makes_a_triplet_of_its_own():
    usual = trained()
    other = dataclasses.replace(usual[0], initial_weights="own")
    by_other = dataclasses.replace(usual[2], teacher=design.Teacher(other))
    own = [dataclasses.replace(run, initial_weights="own") for run in usual[1:]]
    found = twin_triplets(rows(*usual, other, by_other, *own))
    assert {triplet.kind: list(triplet.runs.values()) for triplet in found} == {
        "depth 20, width 8": [run.key for run in usual],
        "depth 20, width 8, teacher from own initial weights": [other.key, usual[1].key, by_other.key],
        "depth 20, width 8, student from own initial weights": [usual[0].key, own[0].key, own[1].key],
    }


@pytest.mark.parametrize("left_out", range(3))
def test_what_lacks_a_twin_is_no_triplet(left_out):
    runs = trained()
    assert not twin_triplets(rows(*runs, failed=[runs[left_out]]))


def test_other_teachers_make_no_triplet():
    shallow = design.Run(8, width=8)
    *twins, taught = trained(teacher=shallow)
    brief = dataclasses.replace(taught, teacher=design.Teacher(twins[0]), alpha_epochs=3)
    shuffled = dataclasses.replace(taught, teacher=design.Teacher(twins[0], "shuffled"))
    assert not twin_triplets(rows(shallow, *twins, taught, brief, shuffled))


def faded(runs, spec="fade"):
    """Plain networks that lost their shortcuts in training: alone, and with the teacher of `runs`."""
    _, plain, taught = runs
    return [dataclasses.replace(run, shortcut_removal=spec) for run in (plain, taught)]


def test_students_that_lost_their_shortcuts_stand_beside_their_twins_by_name():
    usual, other = trained(), trained(seed=1)
    fade, early, merged = faded(usual), faded(usual, "fade:fade_end=0.6"), faded(usual, "merge")
    cooler = dataclasses.replace(fade[1], temperature=2.0)
    wide = faded(trained(width=16))
    found = twin_triplets(rows(*usual, *other, *fade, *early, *merged, cooler, *wide, failed=merged[:1]))
    assert [(triplet.kind, triplet.seed) for triplet in found] == [
        ("depth 20, width 8", 0),
        ("depth 20, width 8", 1),
    ]
    assert found[0].runs == dict(zip(LABELS, (run.key for run in usual), strict=True))
    assert list(found[0].removed.items()) == [
        ("plain, fade", fade[0].key),
        ("plain, fade:fade_end=0.6", early[0].key),
        ("plain + KD, fade", fade[1].key),
        ("plain + KD, fade:fade_end=0.6", early[1].key),
        ("plain + KD, merge", merged[1].key),
    ]
    assert found[1].removed == {}


@pytest.fixture
def study(tmp_path):
    runs = [*trained(), *trained(seed=1), *trained(depth=8)]
    (tmp_path / "result.json").write_text(json.dumps({"rows": [row.to_json() for row in rows(*runs)]}))
    return tmp_path


def test_a_study_has_a_group_for_each_triplet(study):
    _, groups = read_groups(study)
    assert [group.name for group in groups] == [
        "depth 8, width 8, seed 0",
        "depth 20, width 8, seed 0",
        "depth 20, width 8, seed 1",
    ]
    files = groups[0].files
    assert list(files) == list(LABELS)
    assert all(path.parent.parent == study / "runs" and path.name == "model.keras" for path in files.values())
    assert [group.seed for group in read_groups(study, depths=["20"], seeds=[1])[1]] == [1]


def test_which_ways_to_lose_shortcuts_are_compared_is_asked_for(study):
    usual = trained()
    runs = [*usual, *faded(usual, "fade:fade_end=0.6"), *faded(usual, "merge")]
    (study / "result.json").write_text(json.dumps({"rows": [row.to_json() for row in rows(*runs)]}))

    def labels(*removals):
        _, (group,) = read_groups(study, removals=removals)
        return list(group.files)[len(LABELS) :]

    fade = ["plain, fade:fade_end=0.6", "plain + KD, fade:fade_end=0.6"]
    merge = ["plain, merge", "plain + KD, merge"]
    assert labels() == [fade[0], merge[0], fade[1], merge[1]]
    assert labels("fade") == labels("fade:fade_end=0.6", "none") == fade
    assert labels("none") == []
    with pytest.raises(
        ValueError, match="no trained student of shortcut_removal 'tails': it has fade:fade_e"
    ):
        labels("tails")


@pytest.mark.parametrize(
    ("depths", "seeds", "message"),
    [
        (["20", "56"], (), "no residual network of depth 56 with its plain twin"),
        (["8"], ["1"], "no residual network of depth 8 or seed 1 with"),
    ],
)
def test_what_a_study_lacks_is_named(study, depths, seeds, message):
    with pytest.raises(ValueError, match=message):
        read_groups(study, depths, seeds)


def test_a_run_that_is_no_study_has_one_group(tmp_path):
    with pytest.raises(ValueError, match=r"holds no finished run of train, distill or study"):
        read_groups(tmp_path)
    networks = {label: {} for label in ("teacher", "student_alone", "student_distilled", "student_fade")}
    (tmp_path / "result.json").write_text(json.dumps({"networks": networks, "seed": 3}))
    with pytest.raises(ValueError, match="has none of the networks teacher.keras"):
        read_groups(tmp_path)
    for name in ("teacher.keras", "student.keras", "student_fade.keras"):
        (tmp_path / name).touch()
    result, (group,) = read_groups(tmp_path)
    assert result["seed"] == group.seed == 3
    assert group.files == {
        "teacher": tmp_path / "teacher.keras",
        "student distilled": tmp_path / "student.keras",
        "student fade": tmp_path / "student_fade.keras",
    }
    assert group.kind is None
    with pytest.raises(
        ValueError, match="depths, seeds and shortcut_removals choose among the networks of a study"
    ):
        read_groups(tmp_path, depths=["20"])
