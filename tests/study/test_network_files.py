"""Networks in files are known by what the files hold, not by their paths."""

import hashlib

import pytest

from keras_kd.study import network_files, runner, taken_runs
from keras_kd.study.design import Run, Teacher
from tests.support.studies import run_result

ALONE = Run(8, "plain", 4)


def by_file(path):
    return Run(8, "plain + KD", 4, teacher=Teacher(Run(student=str(path), variant="network")))


def begun(folder, *runs):
    study = runner.Study(folder, runs, {"dataset": "x"}, network_files.digests(runs))
    study.begin()
    return study


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.keras"
    path.write_bytes(b"one")
    return path


def test_every_file_that_a_run_names_is_found(tmp_path):
    names = [str(tmp_path / f"{name}.keras") for name in ("own", "assistant", "large", "start")]
    own, assistant, large, start = names
    taught = Run(
        student=assistant,
        variant="network + KD",
        teacher=Teacher(Run(student=large, variant="network")),
    )
    run = Run(student=own, variant="network + KD", teacher=Teacher(taught))
    cut = Run(8, "plain", 4, shortcut_removal=f"layerwise:start_from={start}")
    assert network_files.paths_of(run) | network_files.paths_of(cut) == set(names)
    assert network_files.paths_of(ALONE) == set()
    for name in names:
        (tmp_path / name).write_text(name)
    wanted = {name: hashlib.sha256(name.encode()).hexdigest()[:16] for name in names}
    assert network_files.digests([run, cut]) == wanted


def test_a_study_is_not_resumed_with_another_teacher_under_that_name(tmp_path, teacher):
    begun(tmp_path / "study", by_file(teacher))
    begun(tmp_path / "study", by_file(teacher))
    teacher.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"holds another study: the content of \S*teacher\.keras is another"):
        begun(tmp_path / "study", by_file(teacher))
    teacher.write_bytes(b"one")
    second = tmp_path / "second.keras"
    second.write_bytes(b"two")
    begun(tmp_path / "study", by_file(teacher), by_file(second))  # it may grow
    second.write_bytes(b"three")
    with pytest.raises(ValueError, match=r"the content of \S*second\.keras is another"):
        begun(tmp_path / "study", by_file(teacher), by_file(second))


def test_runs_are_not_taken_from_a_study_with_another_teacher_under_that_name(tmp_path, teacher):
    run = by_file(teacher)
    begun(tmp_path / "one", run)
    runner.execute(lambda run, folder: run_result(0.9), run, tmp_path / "one")
    teacher.write_bytes(b"another")
    study = begun(tmp_path / "two", run, ALONE)
    with pytest.raises(ValueError, match=r"has runs of another kind: the content of \S*teacher\.keras"):
        taken_runs.take(study, tmp_path / "one")
