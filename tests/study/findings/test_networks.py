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
    (tmp_path / "result.json").write_text(json.dumps({"networks": {}, "seed": 3}))
    with pytest.raises(ValueError, match="has none of the networks teacher.keras"):
        read_groups(tmp_path)
    for name in ("teacher.keras", "student.keras"):
        (tmp_path / name).touch()
    result, (group,) = read_groups(tmp_path)
    assert result["seed"] == group.seed == 3
    assert group.files == {
        "teacher": tmp_path / "teacher.keras",
        "student distilled": tmp_path / "student.keras",
    }
    assert group.kind is None
    with pytest.raises(ValueError, match="depths and seeds choose among the networks of a study"):
        read_groups(tmp_path, depths=["20"])
