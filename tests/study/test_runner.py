"""The grid's runs and their folders, with a training that takes no time."""

import concurrent.futures
import dataclasses
import json

import pytest

from keras_kd.study import design, runner
from keras_kd.study.design import Run, Teacher
from keras_kd.study.runner import RunRecord, Study
from tests.support.studies import run_result

TWIN = Run(20, "residual")
TAUGHT = Run(20, "plain + KD", teacher=Teacher(TWIN))
ALONE = Run(20, "plain")


class Here:
    """A pool that does at once what it is given; a process that "dies" raises what a pool raises then."""

    def __init__(self, slots=1):
        self.slots = slots

    def submit(self, function, *arguments):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Work:
    """Stands in for a training; remembers the order."""

    def __init__(self, **errors):
        self.done = []
        self.errors = errors

    def __call__(self, run, folder):
        self.done.append(run.key)
        if self.errors.get(run.variant.replace(" + ", "_")):
            raise self.errors[run.variant.replace(" + ", "_")]
        return run_result(0.9)


def _result(**changes):
    return json.dumps(run_result(0.9).to_json() | changes)


def test_a_run_names_its_folder():
    assert TWIN.key == "r20w16-s0"
    assert TAUGHT.key == "p20w16-kd-r20w16-T4-a0.9-s0"
    changed = dataclasses.replace(
        TAUGHT, alpha_epochs=3, temperature=2.5, weight_decay=0.005, dropout=0.2, label_fraction=0.1
    )
    assert changed.key == "p20w16-do0.2-wd0.005-lf0.1-kd-r20w16-T2.5-a0.9-k3-s0"
    other = dataclasses.replace(TWIN, initial_weights="own")
    assert dataclasses.replace(TAUGHT, teacher=Teacher(other)).key == "p20w16-kd-r20w16-own-T4-a0.9-s0"
    assert "initial_weights" not in TWIN.describe()  # as in results of earlier versions
    assert other.describe()["initial_weights"] == "own"
    control = dataclasses.replace(TAUGHT, teacher=Teacher(TWIN, "shuffled"), augmentation="none", seed=4)
    assert control.key == "p20w16-none-kd-shuffled-r20w16-T4-a0.9-s4"


def test_different_runs_have_different_folders():
    runs = [TWIN, TAUGHT, ALONE, Run(20, "residual + KD", teacher=Teacher(TWIN))]
    for name, value in {
        "depth": 32,
        "width": 8,
        "dropout": 0.1,
        "weight_decay": 0.0,
        "augmentation": "none",
        "label_fraction": 0.5,
        "temperature": 2.0,
        "alpha": 0.5,
        "alpha_epochs": 2,
        "initial_weights": "own",
        "seed": 1,
    }.items():
        runs.append(dataclasses.replace(TAUGHT, **{name: value}))
    runs += [dataclasses.replace(TAUGHT, teacher=Teacher(TWIN, control)) for control in design.CONTROLS]
    assert len({run.key for run in runs}) == len(runs)


def test_what_does_not_matter_without_a_teacher_makes_no_difference():
    assert Run(20, "plain", temperature=2.0, alpha=0.1, alpha_epochs=5) == ALONE
    assert TAUGHT.alone == ALONE
    assert TAUGHT.baseline == TWIN


def test_an_augmentation_with_options_is_part_of_a_folders_name():
    run = dataclasses.replace(TWIN, augmentation="resized_crop:scale=0.5+mixup")
    assert run.key == f"{TWIN.network}-resized_crop-scale0.5+mixup-s{TWIN.seed}"


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"depth": 21}, "depth must be 6n"),
        ({"variant": "dense"}, "variant must be one of"),
        ({"width": 0}, "width must be a whole number from 1"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 0.9\]"),
        ({"weight_decay": "much"}, "weight_decay must lie in"),
        ({"label_fraction": 0.0}, r"label_fraction must lie in \(0, 1\]"),
        ({"augmentation": "rotate"}, "unknown augmentation 'rotate'"),
        ({"variant": "plain + KD"}, "teacher must be given where the variant ends in"),
        ({"teacher": Teacher(TWIN)}, "and only there"),
        ({"variant": "plain + KD", "teacher": Teacher(TWIN), "alpha": 1.5}, "alpha"),
        ({"variant": "plain + KD", "teacher": Teacher(TWIN), "temperature": 0}, "temperature must lie in"),
        ({"seed": -1}, "seed must be a whole number from 0"),
    ],
)
def test_a_run_that_cannot_be_is_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        Run(**{"depth": 20, **axes})


def test_a_control_is_made_of_a_teacher_that_is_trained_on_labels_alone():
    with pytest.raises(ValueError, match="labels alone"):
        Teacher(TAUGHT, "shuffled")
    with pytest.raises(ValueError, match="control must be one of"):
        Teacher(TWIN, "random")
    assert Teacher(TWIN, "untrained").trained is None


def run_all(folder, runs, work, pool=None, **options):
    own = Study(folder, runs, {"dataset": "x"})
    own.begin()
    return own.run(work, pool or Here(), **options)


def test_each_run_is_trained_once_and_teachers_first(tmp_path):
    work = Work()
    records = run_all(tmp_path, [TAUGHT, ALONE, TWIN], work)
    assert list(records) == [TAUGHT, ALONE, TWIN]
    assert sorted(work.done) == sorted(run.key for run in records)
    assert work.done.index(TWIN.key) < work.done.index(TAUGHT.key)
    assert records[ALONE] == RunRecord(ALONE, run_result(0.9))
    again = Work()
    assert run_all(tmp_path, [TAUGHT, ALONE, TWIN], again) == records
    assert again.done == []


def test_a_run_that_fails_is_recorded_and_stops_no_other(tmp_path):
    work = Work(residual=ValueError("no\nluck"))
    records = run_all(tmp_path, [TWIN, TAUGHT, ALONE], work)
    assert records[TWIN].error == "ValueError: no luck"
    assert records[TAUGHT].error == f"its teacher {TWIN.key} failed"
    assert records[ALONE].result
    trace = json.loads((tmp_path / "failed" / f"{TWIN.key}.json").read_text())["traceback"]
    assert "ValueError: no\nluck" in trace
    again = Work()
    assert run_all(tmp_path, [TWIN, TAUGHT, ALONE], again) == records
    assert again.done == []
    records = run_all(tmp_path, [TWIN, TAUGHT, ALONE], again, retry_failed=True)
    assert again.done == [TWIN.key, TAUGHT.key]
    assert not any(record.error for record in records.values())


def test_a_process_that_dies_is_replaced_a_few_times(tmp_path):
    died = concurrent.futures.process.BrokenProcessPool("killed")
    work = Work(plain=died)
    records = run_all(tmp_path, [ALONE, TWIN], work)
    assert work.done.count(ALONE.key) == runner.ATTEMPTS
    assert "its process died 3 times (killed)" in records[ALONE].error
    assert records[TWIN].result


@pytest.mark.parametrize(
    "damage",
    [
        *("", "{", "[]", '{"loss": 1}', '{"accuracy": "high"}'),
        *(_result(loss=None), _result(history=[]), _result(accuracy=97.5), _result(agreement=-0.5)),
    ],
)
def test_a_damaged_result_is_done_again_and_the_rest_kept(tmp_path, damage):
    run_all(tmp_path, [TWIN, ALONE], Work())
    (tmp_path / "runs" / TWIN.key / "result.json").write_text(damage)
    again = Work()
    with pytest.warns(UserWarning, match="is damaged"):
        run_all(tmp_path, [TWIN, ALONE], again)
    assert again.done == [TWIN.key]


def test_a_study_may_grow_but_not_become_another(tmp_path):
    run_all(tmp_path, [TWIN], Work())
    run_all(tmp_path, [TWIN, ALONE], Work())
    with pytest.raises(ValueError, match=f"runs that are not in this study: {ALONE.key}"):
        run_all(tmp_path, [TWIN], Work())
    with pytest.raises(ValueError, match="holds another study: dataset was 'x' and is 'y'"):
        Study(tmp_path, [TWIN, ALONE], {"dataset": "y"}).begin()


def test_a_run_in_a_folder_of_other_settings_is_refused(tmp_path):
    runner.execute(Work(), TWIN, tmp_path)
    (tmp_path / "runs" / TWIN.key / "result.json").unlink()
    flags = tmp_path / "runs" / TWIN.key / "flags.cfg"
    flags.write_text(flags.read_text().replace("--depth=20", "--depth=26"))
    with pytest.raises(ValueError, match="--depth was 26 and is 20"):
        runner.execute(Work(), TWIN, tmp_path)


def test_progress_tells_what_runs_and_how_far(tmp_path):
    states = []

    class Slow(Here):
        def submit(self, function, *arguments):
            run = arguments[1]
            folder = tmp_path / "runs" / run.key
            folder.mkdir(parents=True)
            (folder / "log.txt").write_text("network epoch 3/4 1.2s loss=1 val_accuracy=0.75 x=1\n")
            self.future = super().submit(lambda: run_result(0.5))
            held, self.held = concurrent.futures.Future(), self.future
            return held

    pool = Slow()

    def watch(state):
        states.append(state)
        if len(states) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(tmp_path, [TWIN, ALONE], Work(), pool, watch=watch)
    epoch = states[-1].running[TWIN]
    assert (epoch.done, epoch.total) == (3, 4)
    assert states[-1].share == pytest.approx(0.75 / 2)
    assert states[-1].total == 2
