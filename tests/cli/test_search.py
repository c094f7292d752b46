"""`search` as a person types it: what it prints, leaves and refuses."""

import pathlib
import re
import statistics

import keras
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_kd.cli import search_runs
from tests.support import golden
from tests.support.commands import call
from tests.support.distillers import image_classifier
from tests.support.processes import error_line, free_port
from tests.support.searches import SEARCH, TRIALS, finished_search, search_folder
from tests.support.searches import search_result as result

pytestmark = [
    pytest.mark.slow,  # whole runs
    pytest.mark.last,  # operations stay deterministic, and XLA is off
]


def script(*flags, cwd):
    return call("search", *SEARCH, *flags, cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a search has run; `(cwd, output, errors)`."""
    return finished_search(tmp_path_factory)


def test_what_the_terminal_shows(finished):
    golden.check("search", finished[1])


def test_it_says_what_it_will_do_each_trial_and_what_it_found(finished):
    _, output, errors = finished
    assert f"random: {TRIALS} trials of up to 2 epochs, seeds 0, 1, judged by validation accuracy" in output
    assert "temperature 1 to 16; alpha 0 to 1" in output
    for number in range(1, TRIALS + 1):
        line = rf"\[{number}/{TRIALS}.*\] trial {number - 1}: T = [\d.]+, alpha = [\d.]+, 2 epochs: "
        assert re.search(line + r"[\d.]+% on validation \(± [\d.]+ points\)", errors), errors
    answer = r"^T = [\d.]+, alpha = [\d.]+: [+-][\d.]+ points over the default \(T = 4, alpha = 0.9\) on val"
    assert re.search(answer, output, re.M), output
    assert f"{TRIALS} trials: {TRIALS} finished, seeds 0, 1 each." in output
    assert output.splitlines()[-1] == "next: keras-kd distill --flagfile=runs/mine/best.cfg"
    for row in ("best: T = ", "default: T = 4, alpha = 0.9", "gain, paired by seed, points"):
        assert re.search(rf"│ {row}", output), output


def test_its_folder_is_whole(finished):
    cwd, output, _ = finished
    paths = dict(re.findall(r"^(run|page|flagfile|tensorboard|result) +(\S+)$", output, re.M))
    assert len(paths) == 5
    assert all((cwd / path).exists() for path in paths.values())
    page = (cwd / paths["page"]).read_text(encoding="utf-8")
    assert "keras-kd search --dataset=tiny.npz" in page
    assert "fewer than the 10" in page
    assert f"keras-kd distill --flagfile={cwd}/runs/mine/best.cfg" in page
    assert (
        page.index('class="answer"') < page.index("points over the default") < page.index('id="plane-title"')
    )


def test_scores_are_means_over_seeds_and_the_best_has_the_best(finished):
    found = result(finished[0])
    for trial in found["trials"]:
        assert len(trial["measures"]["val_accuracy"]) == 2
        assert trial["score"] == pytest.approx(statistics.fmean(trial["measures"]["val_accuracy"]))
        assert 1 <= trial["values"]["temperature"] <= 16
    assert found["best"]["score"] == max(trial["score"] for trial in found["trials"])
    assert found["seeds"] == [0, 1]
    tested = found["test"]
    assert tested["default"]["values"] == {"temperature": 4.0, "alpha": 0.9}
    assert [row["validation_accuracy"] for row in tested["best"]["per_seed"]] == pytest.approx(
        found["best"]["measures"]["val_accuracy"]
    )
    pairs = zip(tested["best"]["per_seed"], tested["default"]["per_seed"], strict=True)
    gains = [best["accuracy"] - default["accuracy"] for best, default in pairs]
    assert tested["gain"]["mean"] == pytest.approx(statistics.fmean(gains))
    assert tested["gain"]["deviation"] == pytest.approx(statistics.stdev(gains))
    assert "keras-tuner" in found["versions"]


def test_the_flagfile_repeats_the_best_run(finished):
    cwd, _, _ = finished
    status, _, errors = call("distill", "--flagfile=runs/mine/best.cfg", "--jobs=1", cwd=cwd)
    assert status == 0, errors[-3000:]
    again = result(cwd, "mine-best")
    first = result(cwd)["test"]["best"]["per_seed"][0]
    assert again["networks"]["student_distilled"]["accuracy"] == first["accuracy"]
    assert again["networks"]["student_distilled"]["loss"] == first["loss"]
    assert again["history"]["student_distilled"]["val_accuracy"][-1] == first["validation_accuracy"]


def test_tensorboard_has_a_row_for_each_trial(finished):
    cwd, _, _ = finished
    found = result(cwd)
    rows = {}
    for path in (cwd / "runs" / "mine" / "trials").iterdir():
        events = EventAccumulator(str(path))
        events.Reload()
        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        started = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
        values = {name: value.number_value for name, value in started.hparams.items()}
        accuracy = float(tf.make_ndarray(events.Tensors("final/val_accuracy")[0].tensor_proto))
        rows[started.group_name] = (values, accuracy)
    assert len(rows) == TRIALS
    for values, accuracy in rows.values():
        (trial,) = [t for t in found["trials"] if t["values"]["alpha"] == values["alpha"]]
        assert values == {**trial["values"], "epochs": 2}
        assert accuracy == pytest.approx(trial["score"], rel=1e-6)


def test_the_teacher_is_asked_once_for_all_trials(finished):
    kept = [path for path in (finished[0] / "runs" / "teacher_logits").iterdir() if path.is_dir()]
    assert len(kept) == 2  # one for each seed, whose images are moved otherwise


@pytest.mark.slow
def test_its_own_flagfile_repeats_it(finished):
    cwd, _, _ = finished
    status, output, errors = call("search", "--flagfile=runs/mine/flags.cfg", "--out=runs/mine", cwd=cwd)
    assert status == 0, errors
    assert "is finished, this is its result" in output


def test_a_finished_search_shows_its_tables_again(finished):
    cwd, output, _ = finished
    status, again, errors = script(cwd=cwd)
    assert status == 0, errors
    assert "is finished, this is its result" in again
    assert again.split("\n", 1)[1] == output[output.index("T = ") :]


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--temperature_low=8", "--temperature_high=2"],
            "bounds of temperature are reversed. Received: 8.0",
        ),
        (["--alpha_low=0.9", "--alpha_high=0.1"], "bounds of alpha are reversed"),
        (["--temperature_low=0"], "temperature"),
        (["--alpha_high=1.5"], "alpha_high, the weight of the teacher's term, must lie in [0, 1]"),
        (["--alpha=2"], "alpha, the weight of the teacher's term, must lie in [0, 1]"),
        (["--trials=0"], "at least one trial is needed. Received: trials=0"),
        (
            ["--search=depth"],
            "search takes learning_rate, alpha_epochs, teacher, student, shortcut_removal, loss, "
            "loss_weight_factor. "
            "Received: depth",
        ),
        (["--search=shortcut_removal", "--shortcut_removals=fade,jump"], "unknown shortcut_removal 'jump'"),
        (["--search=shortcut_removal", "--tuner=hyperband"], "tuner='hyperband' would judge networks"),
        (
            ["--search=shortcut_removal", "--shortcut_removals=none,blockwise", "--teacher_width=8"],
            "'blockwise' needs a teacher with the student's blocks and widths",
        ),
        (["--search=loss", "--losses=kd,dkb"], "unknown loss 'dkb': did you mean 'dkd'"),
        (["--search=loss", "--losses=kd,at:teacher_layers=x:student_layers=x"], "has no layer 'x'"),
        (
            ["--search=loss", "--losses=kd,dkd:temperature=8..1"],
            "dkd:temperature=8..1: a range's ends are reversed",
        ),
        (["--search=loss", "--losses=kd,dkd:temperature=0..8"], "temperature must lie in [0.001, 10000]"),
        (["--losses=kd,dkd"], "to choose from where loss is searched"),
        (["--search=loss_weight_factor"], "weighs the losses to choose from: search loss with it"),
        (["--search=learning_rate", "--learning_rate_low=0"], "learning_rate_low must lie in"),
        (["--search=teacher"], "searching the teacher needs two files or more"),
        (["--students=cifar_resnet:8,cifar_resnet:14"], "searching the student needs two networks or more"),
        (
            ["--search=student", "--students=cifar_resnet:8,cifar_resnet:9"],
            "--students=cifar_resnet:9: depth must be",
        ),
        (["--search=teacher", "--teachers=a.keras,b.keras"], "there is no file"),
        (["--teacher=none.keras"], "there is no file 'none.keras'"),
        (["--tuner=hyperband", "--trials=1", "--epochs=3"], "trained to the end is number"),
        (
            ["--tuner=hyperband", "--trials=0", "--hyperband_factor=1"],
            "hyperband_factor must be a whole number from 2",
        ),
        (["--strategy=multiworker"], "a trial belongs to one host"),
        (["--alpha_epochs=3"], "alpha_epochs must be at most the 2 epochs"),
        (["--batch_size=1000"], "batch_size must be a whole number from 1 to"),
        (["--worker_silence=0"], "worker_silence, in seconds, must lie in"),
        (["--dataset=none.npz"], "none.npz"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(npz, flags, message, tmp_path):
    assert message in refused(tmp_path, *flags)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz"]


def refused(cwd, *flags):
    """The line in which the command ends with these flags."""
    status, _, errors = script(*flags, cwd=cwd)
    assert status == 1
    return error_line(errors)


def test_another_space_in_the_same_folder_is_refused_by_name(finished):
    before = (finished[0] / "runs" / "mine" / "result.json").read_bytes()
    line = refused(finished[0], "--temperature_high=8", "--search=learning_rate")
    assert "--temperature_high was 16.0 and is 8.0" in line
    assert "--search was not given and is learning_rate" in line
    assert "--overwrite" in line
    assert (finished[0] / "runs" / "mine" / "result.json").read_bytes() == before


def test_incomplete_variables_and_a_chief_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "a")
    assert "Missing: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT" in refused(tmp_path)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(free_port()))
    assert "no chief answers at 127.0.0.1" in refused(tmp_path, "--chief_patience=1")
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------- searches of other kinds


@pytest.mark.slow
def test_failed_trials_are_named_the_status_says_so_and_they_are_tried_again(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "failing")
    # A rate at which the loss is no number any more, in a grid of which one half is harmless.
    flags = ("--tuner=grid", "--trials=2", "--alpha_low=0.5", "--alpha_high=0.5", "--clip_norm=0")
    flags += ("--temperature_high=1", "--search=learning_rate", "--learning_rate_high=1000")
    flags += ("--seeds_per_trial=1", "--warmup_fraction=0")
    status, output, errors = script(*flags, cwd=cwd)
    assert status == 1, output + errors
    line = error_line(errors)
    assert "1 of 2 trials failed, trial 1: the loss became no number: a lower learning rate may help" in line
    assert "--retry_failed" in line
    found = result(cwd)
    assert [trial["status"] for trial in found["trials"]] == ["COMPLETED", "FAILED"]
    assert found["best"]["trial"] == "0"
    page = (cwd / "runs" / "mine" / "search.html").read_text(encoding="utf-8")
    assert "2 trials: 1 finished, 1 failed. Trial 1 failed: the loss became no number" in page
    assert "TrainingDivergedError" not in page
    status, again, errors = script(*flags, "--retry_failed", cwd=cwd)
    assert status == 1, again + errors
    assert "trial 1: " in errors


@pytest.mark.slow
def test_the_teacher_the_rate_and_how_long_the_teacher_stays_can_be_searched(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "more")
    for name, units in (("small", 4), ("large", 16)):
        inputs = keras.Input((8, 8, 3))
        outputs = keras.layers.Dense(4)(keras.layers.Dense(units, "relu")(keras.layers.Flatten()(inputs)))
        keras.Model(inputs, outputs).save(cwd / f"{name}.keras")
    flags = ("--search=learning_rate,alpha_epochs,teacher,student", "--teachers=small.keras,large.keras")
    flags += ("--students=cifar_resnet:8:width=4:shortcuts=none,wide_resnet:10:1",)
    status, output, errors = script(*flags, "--trials=2", "--seeds_per_trial=1", cwd=cwd)
    assert status == 0, errors[-3000:]
    found = result(cwd)
    named = ["temperature", "alpha", "learning_rate", "alpha_epochs", "teacher", "student"]
    assert list(found["space"]) == named
    assert len(found["trials"]) == 2
    student = found["best"]["values"]["student"]
    assert f"--student={student}\n" in (cwd / "runs" / "mine" / "best.cfg").read_text()
    status, _, errors = call("distill", "--flagfile=runs/mine/best.cfg", "--jobs=1", cwd=cwd)
    assert status == 0, errors[-3000:]
    first = found["test"]["best"]["per_seed"][0]
    assert result(cwd, "mine-best")["networks"]["student_distilled"]["accuracy"] == first["accuracy"]
    assert pathlib.Path(found["best"]["values"]["teacher"]).name in output


@pytest.mark.slow
def test_how_shortcuts_are_lost_can_be_searched(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "removal")
    image_classifier(shape=(8, 8, 3)).save(cwd / "teacher.keras")
    one = ("--temperature_high=1", "--alpha_low=0.5", "--alpha_high=0.5", "--seeds_per_trial=1", "--epochs=1")
    flags = ("--search=shortcut_removal", "--shortcut_removals=fade:fade_end=0.5,merge", "--tuner=grid", *one)
    status, output, errors = script(*flags, "--teacher=teacher.keras", cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "shortcut removal fade:fade_end=0.5, merge" in output
    found = result(cwd)
    ways = [trial["values"]["shortcut_removal"] for trial in found["trials"]]
    assert ways == ["fade:fade_end=0.5", "merge"]
    assert found["test"]["default"]["values"]["shortcut_removal"] == ways[0]
    best = found["best"]["values"]["shortcut_removal"]
    assert f"--shortcut_removal={best}\n" in (cwd / "runs" / "mine" / "best.cfg").read_text()


@pytest.mark.slow
def test_options_of_a_loss_can_be_searched(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "options")
    fixed = ("--temperature_high=1", "--alpha_low=0.5", "--alpha_high=0.5", "--seeds_per_trial=1")
    flags = ("--search=loss", "--losses=dkd:temperature=1..8,kd", "--tuner=grid", "--trials=3", *fixed)
    status, output, errors = script(*flags, cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "loss dkd:temperature=1..8, kd" in output
    found = result(cwd)
    values = [trial["values"] for trial in found["trials"]]
    losses = ["dkd:temperature=1.0", "kd", "dkd:temperature=8.0"]
    assert [each["loss"] for each in values] == losses
    assert [each.get("dkd temperature") for each in values] == [1.0, None, 8.0]
    assert found["test"]["default"]["values"] == {"temperature": 4.0, "alpha": 0.9, "loss": "dkd"}
    page = (cwd / "runs" / "mine" / "search.html").read_text(encoding="utf-8")
    for loss in losses:
        assert re.search(rf"trial \d: T = 1, alpha = 0.5, loss = {loss}, 2 epochs", errors), errors
        assert loss in page
    best = found["best"]["values"]["loss"]
    assert f"loss = {best}: " in output.replace("\n", " ")
    assert f"--loss={best}\n" in (cwd / "runs" / "mine" / "best.cfg").read_text()
    status, _, errors = call("distill", "--flagfile=runs/mine/best.cfg", "--jobs=1", cwd=cwd)
    assert status == 0, errors[-3000:]
    first = found["test"]["best"]["per_seed"][0]
    assert result(cwd, "mine-best")["networks"]["student_distilled"]["accuracy"] == first["accuracy"]


def test_flags_of_a_setting_are_those_that_its_loss_has_a_use_for():
    setting = {"temperature": 3.0, "alpha": 0.5, "alpha_epochs": 2, "loss": "kd+at"}
    usual = {"shortcut_removal": "none"}
    assert search_runs.flags_of_setting(setting) == usual | setting | {"teacher_views": None}
    gone = dict.fromkeys(("temperature", "alpha", "alpha_epochs"))
    assert search_runs.flags_of_setting(setting | {"loss": "dkd"}) == usual | {"loss": "dkd"} | gone
    options = search_runs.flags_of_setting({"loss": "dkd:temperature=2.5", "dkd temperature": 2.5})
    assert options == usual | {"loss": "dkd:temperature=2.5"} | gone
    weighed = search_runs.flags_of_setting({"loss": "kd+at:weight=500.0", "loss_weight_factor": 0.5})
    assert weighed == usual | {"loss": "kd+at:weight=250.0", "teacher_views": None}
