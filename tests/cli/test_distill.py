"""`distill` and `train` as a person types them: what they print, write, draw and refuse."""

import json
import re
import shutil

import keras
import numpy as np
import pytest

from keras_kd.cli import demo
from keras_kd.data import tfds
from tests.support import golden
from tests.support.arrays import tiny_arrays
from tests.support.commands import call as script
from tests.support.processes import ROOT, error_line
from tests.support.runs import DISTILL, EPOCHS, SEED, SIZES, finished_run

FILES = ROOT / "tests" / "support" / "files"

SMALL = ("--epochs=1", "--batch_size=24", "--strategy=none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the main job has run on a small .npz, and what it printed."""
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module")
def repeated(finished):
    """The run was repeated by its flagfile, in a folder of the same last name; its export before."""
    cwd, _ = finished
    before = (cwd / SERVED).read_bytes()
    flags = ("--flagfile=runs/first/flags.cfg", "--out=elsewhere/first", "--jobs=1")
    status, output, errors = script("distill", *flags, cwd=cwd)
    assert status == 0, errors
    return output, before


SERVED = "runs/first/saved_model/saved_model.pb"


def test_what_the_terminal_shows(finished):
    golden.check("distill", finished[1])


def test_the_main_job_prints_one_table_and_its_paths(finished):
    cwd, output = finished
    for word in ("test accuracy", "drop", "gain", "recovery", "agreement", "parameters", "seconds"):
        assert word in output
    for row in ("teacher", "student alone", "student distilled"):
        assert re.search(rf"│ {row} +│ +[\d.]+%", output), row
    assert re.search(
        r"^next: keras-kd (export --model=runs/first/student.keras|distill --seeds=3)", output, re.M
    )
    paths = dict(re.findall(r"^(run|tensorboard|curves|saved_model|result) +(\S+)$", output, re.M))
    assert len(paths) == 5
    assert all((cwd / path).exists() for path in paths.values())


def test_what_the_terminal_shows_of_the_demo(finished, monkeypatch):
    cwd, _ = finished
    monkeypatch.setattr(demo, "SETTING", DISTILL)
    status, output, errors = script("demo", "--out=runs/first", cwd=cwd)
    assert status == 0, errors
    golden.check("demo", output)


def test_the_run_folder_is_whole(finished):
    cwd, _ = finished
    run = cwd / "runs" / "first"
    names = {
        "saved_model",
        "flags.cfg",
        "result.json",
        "teacher",
        "teacher.keras",
        "student_alone",
        "student_distilled",
        "student_alone.keras",
        "student.keras",
        "trajectory",
        "checkpoints",
        "log.txt",
    }
    found = {path.name for path in run.iterdir() if not path.name.startswith("events.")}
    assert found == names | {"curves.png", ".lock"}
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    log = (run / "log.txt").read_text().splitlines()
    assert len([line for line in log if " note: " not in line]) == 3 * EPOCHS
    labels = {"teacher", "student_alone", "student_distilled"}
    kept = {path.name for path in (run / "checkpoints").iterdir()}
    assert kept == {f"{label}.{place}.npz" for label in labels for place in (0, 1)}
    assert (run / "saved_model" / "saved_model.pb").is_file()


def test_the_result_says_every_number_of_the_summary(finished):
    cwd, output = finished
    result = json.loads((cwd / "runs" / "first" / "result.json").read_text())
    networks, effects = result["networks"], result["effects"]
    accuracy = {label: row["accuracy"] for label, row in networks.items()}
    assert effects["gain"] == pytest.approx(accuracy["student_distilled"] - accuracy["student_alone"])
    assert effects["drop"] == pytest.approx(accuracy["teacher"] - accuracy["student_alone"])
    assert f"{effects['gain'] * 100:+.1f}" in output
    assert "Intervals: 95 %, over 24 test images" in " ".join(output.split())
    for value in accuracy.values():
        assert f"{value:.1%}" in output
    assert result["export"]["max_logit_difference"] <= 1e-5
    assert result["export"]["same_class"] == 1
    assert result["dataset"]["examples"] == {"train": 72, "validation": 8, "test": 24}
    assert len(result["dataset"]["fingerprint"]) == 16
    assert result["settings"]["epochs"] == EPOCHS
    assert result["versions"]["keras"] == keras.__version__
    assert (result["temperature"], result["seed"]) == (4.0, SEED)


@pytest.mark.slow
def test_the_flagfile_repeats_the_run(finished, repeated):
    cwd, _ = finished
    first, again = (
        json.loads((cwd / folder / "first" / "result.json").read_text()) for folder in ("runs", "elsewhere")
    )
    assert first["settings"] == again["settings"]
    for label, row in first["networks"].items():
        assert again["networks"][label]["accuracy"] == row["accuracy"]
        assert again["networks"][label]["loss"] == pytest.approx(row["loss"], rel=1e-4)


@pytest.mark.slow
def test_runs_of_one_name_in_two_folders_do_not_meet(finished, repeated):
    cwd, _ = finished
    output, before = repeated
    assert "elsewhere/first/saved_model" in output
    assert (cwd / "elsewhere" / "first" / "saved_model" / "saved_model.pb").is_file()
    assert (cwd / SERVED).read_bytes() == before


TAUGHT = (
    "--student_shortcuts=1,0,0",
    "--shortcut_removal=fade",
    "--loss=kd+fitnets",
    "--loss_weight=2",
    "--layers=stage2_block1_out,stage3_block1_out=stage2_block1_out",
    "--baseline",
)


@pytest.mark.slow
def test_what_the_terminal_shows_of_a_trained_network_which_is_a_teacher(finished):
    cwd, _ = finished
    network = ("--student_depth=8", "--student_width=4")
    flags = ("--dataset=tiny.npz", "--out=runs/teacher", *network, *SMALL)
    status, output, errors = script("train", *flags, cwd=cwd)
    assert status == 0, errors
    assert re.search(r"resnet8 +│ +[\d.]+%", output)
    golden.check("train", output)
    status, output, errors = script(
        "distill",
        "--dataset=tiny.npz",
        "--out=runs/taught",
        "--teacher=runs/teacher/model.keras",
        *TAUGHT,
        "--jobs=1",
        *SMALL,
        *SIZES,
        cwd=cwd,
    )
    assert status == 0, errors
    result = json.loads((cwd / "runs" / "taught" / "result.json").read_text())
    networks = ["teacher", "baseline", "student_alone", "student_distilled", "student_fade"]
    assert list(result["networks"]) == networks
    assert result["networks"]["teacher"]["seconds"] is None
    assert result["shortcut_removal"] == "fade"
    layers = "teacher_layers=stage2_block1_out,stage3_block1_out"
    layers += ":student_layers=stage2_block1_out,stage2_block1_out"
    assert result["loss"] == f"kd+fitnets:weight=2.0:{layers}"
    assert result["history"]["student_fade"]["hint_loss"][0] > 0
    faded = keras.saving.load_model(cwd / "runs" / "taught" / "student_fade.keras")
    sums = [layer.name for layer in faded.layers if isinstance(layer, keras.layers.Add)]
    assert sums == ["stage1_block1_add"]  # the one that the student keeps
    gain = result["networks"]["student_fade"]["accuracy"] - result["networks"]["student_alone"]["accuracy"]
    assert result["removal_effects"]["gain"] == pytest.approx(gain)
    alone = result["networks"]["student_alone"]["accuracy"]
    assert result["effects"]["drop"] == pytest.approx(result["networks"]["baseline"]["accuracy"] - alone)
    flagfile = (cwd / "runs" / "taught" / "flags.cfg").read_text()
    names = {line.lstrip("-").split("=")[0] for line in flagfile.splitlines()}
    assert {"teacher", "alpha", "epochs", "dataset", "baseline"} <= names
    assert not names & {"out", "overwrite", "debug"}


def test_a_finished_run_shows_its_table_again(finished):
    cwd, output = finished
    run = cwd / "runs" / "first"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    status, again, errors = script("distill", *DISTILL, cwd=cwd)
    assert status == 0, errors
    assert again.splitlines()[0] == "runs/first is finished, this is its result (--overwrite starts anew)"
    assert again.split("\n", 1)[1] == output[output.index("\nKD ") :]
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_other_flags_on_the_same_folder_are_refused_by_name(finished):
    cwd, _ = finished
    again = (*DISTILL, "--seed=3", "--alpha=0.5")
    before = (cwd / "runs" / "first" / "result.json").read_bytes()
    status, _, errors = script("distill", *again, cwd=cwd)
    assert status == 1
    assert f"--alpha was 0.9 and is 0.5; --seed was {SEED} and is 3" in error_line(errors)
    assert "--overwrite" in error_line(errors)
    assert (cwd / "runs" / "first" / "result.json").read_bytes() == before


@pytest.mark.slow
def test_overwriting_starts_anew(finished):
    cwd, _ = finished
    shutil.copytree(cwd / "runs" / "first", cwd / "runs" / "copy")
    flags = ("--dataset=tiny.npz", "--out=runs/copy", *SMALL, "--overwrite")
    before = names_in(cwd / "runs" / "copy")
    status, _, errors = script("train", *flags, "--student_depth=8", "--student_width=4", cwd=cwd)
    assert status == 1
    assert "runs/copy is a run of distill: it is not overwritten" in error_line(errors)
    status, _, errors = script("landscape", "--run=runs/first", "--out=runs/copy", "--overwrite", cwd=cwd)
    assert status == 1
    assert "runs/copy is a run of distill: it is not overwritten" in error_line(errors)
    assert names_in(cwd / "runs" / "copy") == before
    (cwd / "runs" / "copy" / "student.keras").write_text("old")
    same = ("--flagfile=runs/first/flags.cfg", "--out=runs/copy", "--overwrite", "--jobs=1")
    status, output, errors = script("distill", *same, cwd=cwd)
    assert status == 0, errors
    assert "what was there is in runs/copy/overwritten-1 until this run is finished" in output
    assert names_in(cwd / "runs" / "copy") == before
    assert (cwd / "runs" / "copy" / "student.keras").read_bytes() != b"old"


def names_in(run):
    """What a run's folder holds; event files have names of their own."""
    return sorted(path.name.partition(".tfevents.")[0] for path in run.iterdir())


@pytest.mark.slow
def test_exports_in_one_folder_are_named_by_the_paths_of_their_runs(finished):
    cwd, _ = finished
    there = ("--dataset=tiny.npz", "--saved_models=served", *SMALL, *SIZES)
    there += ("--shortcut_removal=none", "--jobs=1")
    for out in ("a/run", "b/run"):
        status, output, errors = script("distill", *there, f"--out={out}", cwd=cwd)
        assert status == 0, errors
        target = f"served/{out.replace('/', '-')}"
        assert re.search(rf"^saved_model +{target}$", output, re.M)
        assert json.loads((cwd / target / "metadata.json").read_text())["run"] == str(cwd / out)
        assert not (cwd / out / "saved_model").exists()
        assert "saved_models" not in (cwd / out / "flags.cfg").read_text()
    before = (cwd / "served" / "b-run" / "metadata.json").stat().st_mtime_ns
    status, _, errors = script("distill", *there, "--out=b/run", "--seed=1", "--overwrite", cwd=cwd)
    assert status == 0, errors  # what that run made is its own to replace
    assert (cwd / "served" / "b-run" / "metadata.json").stat().st_mtime_ns != before
    status, _, errors = script("distill", *there, "--out=b-run", "--overwrite", cwd=cwd)
    assert status == 1
    assert re.search(
        "served/b-run is of another run .*/b/run.*choose another --saved_models", error_line(errors)
    )
    assert not (cwd / "b-run").exists()


def test_a_finished_run_of_the_flat_modules_is_shown(tmp_path):
    """Its flags are called otherwise, and one says where its export went."""
    shutil.copytree(FILES / "run_before_rooms", tmp_path / "runs" / "distill-digits")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    flags = ("--deterministic", "--teacher_width=16", "--student_width=16")  # defaults of that time
    status, output, errors = script("distill", "--epochs=3", *flags, cwd=tmp_path)
    assert status == 0, errors
    assert re.search(r"│ student distilled +│ +23.6% │", output)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before
    status, _, errors = script("distill", "--epochs=4", *flags, cwd=tmp_path)
    assert status == 1
    assert "--epochs was 3 and is 4: give those to go on" in error_line(errors)


def test_a_flagfile_of_the_flat_modules_is_answered_with_the_new_name(tmp_path):
    status, _, errors = script(
        "distill", f"--flagfile={FILES / 'run_before_rooms' / 'flags.cfg'}", "--out=run", cwd=tmp_path
    )
    assert status == 1
    assert error_line(errors) == "error: --mentor_epochs is called --alpha_epochs now"


def test_a_run_of_flags_with_older_names_is_known_again(finished):
    """Runs before `--alpha_epochs` had that name wrote `--mentor_epochs`."""
    cwd, output = finished
    shutil.copytree(cwd / "runs" / "first", cwd / "runs" / "older")
    flagfile = cwd / "runs" / "older" / "flags.cfg"
    flagfile.write_text(flagfile.read_text().replace("--alpha_epochs", "--mentor_epochs"))
    status, again, errors = script("distill", *DISTILL, "--out=runs/older", cwd=cwd)
    assert status == 0, errors
    assert output[output.index("On test") : output.index("run  ")] in again


BAD_FLAGS = {
    "out is a pattern to TensorFlow": (
        ["--out=runs/a [1]"],
        r"for a pattern: choose one without \[. Received: runs/a \[1\]",
    ),
    "saved_models in the run": (
        ["--out=runs/x", "--saved_models=runs/x/served"],
        "lies in the run's own folder",
    ),
    "saved_models is a file": (
        ["--saved_models=tiny.npz"],
        "cannot write to .*choose another --saved_models",
    ),
    "saved_models where nobody writes": (
        ["--saved_models=/proc/x"],
        "cannot write to .*another --saved_models",
    ),
    "teacher_logits is a file": (
        ["--teacher_views=1", "--teacher_logits=tiny.npz"],
        "cannot write to .*choose another --teacher_logits",
    ),
    "depth": (["--student_depth=21"], r"depth must be 6n\+2.*Received: depth=21"),
    "shortcuts": (["--student_shortcuts=1,0"], r"3 bools, one per block.*Received: 2 values"),
    "shortcuts text": (["--student_shortcuts=some"], "'none', 'all', or a 0 or 1 per block.*'some'"),
    "temperature": (["--temperature=0"], r"temperature=0.*temperature must lie in"),
    "temperature nan": (["--temperature=nan"], r"temperature=nan.*temperature must lie in"),
    "alpha": (["--alpha=1.5"], r"alpha=1.5.*\[0, 1\]"),
    "alpha nan": (["--alpha=nan"], r"alpha=nan.*\[0, 1\]"),
    "dataset": (["--dataset=cifar1O"], r"'digits', a path that ends in \.npz.*cifar10.*Received: 'cifar1O'"),
    "missing npz": (["--dataset=none.npz"], "there is no file 'none.npz'"),
    "truncated npz": (["--dataset=cut.npz"], "cut.npz: cannot be read, is it truncated"),
    "batch": (["--batch_size=73"], "batch_size must be .* 72. Received: batch_size=73"),
    "no flag": (["epochs=3"], "flags begin with --. Received: epochs=3"),
    "replicas": (["--replicas=2"], "several replicas need strategy='mirrored'.*replicas=2"),
    "epochs": (["--epochs=0"], "epochs must be a whole .*Received: epochs=0"),
    "out is a file": (["--out=tiny.npz"], "exists and is no run"),
    "out below a file": (["--out=tiny.npz/run"], "cannot write to .*choose another --out"),
    "out without a name": (["--out=."], "a run needs a folder of its own"),
    "unknown flag": (["--epoch=3"], "unknown flag --epoch: did you mean --epochs"),
    "renamed flag": (["--mentor_epochs=3"], "--mentor_epochs is called --alpha_epochs now"),
    "one snapshot": (["--snapshots=1"], "must be 0 or at least 2"),
    "positional": (["again"], "flags begin with --. Received: again"),
    "no number": (["--epochs=many"], "--epochs=many"),
    "fade ends first": (
        ["--shortcut_removal=fade", "--fade_start=0.8", "--fade_end=0.2"],
        "fade_end must not lie",
    ),
    "merge has no fade": (["--shortcut_removal=merge", "--fade_end=0.2"], "'merge' has no option 'fade_end'"),
    "no fade": (["--shortcut_removal=none", "--fade_end=0.2"], "'none' has no option 'fade_end'"),
    "no shortcut to lose": (
        ["--shortcut_removal=fade", "--student_shortcuts=all"],
        "there is no shortcut to lose",
    ),
    "no twin": (
        ["--shortcut_removal=tails", "--teacher_width=8"],
        "needs a teacher with the student",
    ),
    "unknown loss": (["--loss=kd+fitnet"], "unknown loss 'fitnet': did you mean 'fitnets'"),
    "a loss of no weight": (["--loss=simkd", "--loss_weight=0"], r"--loss_weight=0.* must lie in \(0, "),
    "a loss that pushes away": (["--loss=dkd:weight=-5"], r"weight must lie in \(0, .*weight=-5"),
    "alpha without kd": (["--loss=at", "--alpha=0.5"], r"--alpha belongs to kd: write --loss=kd\+at"),
    "layers of cached logits": (["--loss=at", "--teacher_views=1"], "leave out --teacher_views"),
    "one example": (["--loss=rkd", "--batch_size=1"], "compares the examples of a batch"),
    "one example a replica": (
        ["--loss=sp", "--batch_size=4", "--strategy=mirrored", "--replicas=4"],
        "each of --replicas=4 has its share",
    ),
    "no layer": (["--loss=at", "--layers=stage9_out"], "has no layer 'stage9_out'"),
    "layers of simkd": (["--loss=simkd", "--layers=stage3_block1_out"], "leave out the layers"),
    "layers twice": (
        ["--loss=at:teacher_layers=a:student_layers=b", "--layers=c"],
        "layers are given in the text of a loss or apart from it, not both",
    ),
    "layers of no image": (
        ["--loss=at", "--layers=stage1_block1_out=logits"],
        "AttentionTransfer cannot compare",
    ),
    "no teacher": (["--teacher=none.keras"], "there is no file 'none.keras'"),
    "truncated teacher": (["--teacher=cut.keras"], "cut.keras: is not a whole .keras file"),
    "lambda teacher": (["--teacher=lambda.keras"], "lambda.keras: holds a Lambda"),
    "sigmoid teacher": (["--teacher=sigmoid.keras"], "the teacher .* ends in sigmoid"),
    "teacher of other classes": (
        ["--teacher=classes.keras"],
        "has 3 outputs, and there are 4 classes: give a class_map",
    ),
    "teacher of other images": (["--teacher=images.keras"], r"must take images.*\(None, 9, 9, 2\)"),
    "class map without a teacher": (["--class_map=map.json"], "--class_map is of a teacher from a file"),
    "start of a trained teacher": (
        ["--teacher=classes.keras", "--initial_weights=own"],
        "--initial_weights is of a teacher that is trained here",
    ),
    "no class map": (
        ["--teacher=classes.keras", "--class_map=map.json"],
        "there is no file 'map.json': give the path of a class map",
    ),
}


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("bad")
    np.savez(cwd / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    (cwd / "cut.npz").write_bytes((cwd / "tiny.npz").read_bytes()[:2000])
    flat = keras.layers.Flatten
    for name, shape, head in (
        ("sigmoid", (8, 8, 3), keras.layers.Dense(4, "sigmoid")),
        ("classes", (8, 8, 3), keras.layers.Dense(3)),
        ("images", (9, 9, 2), keras.layers.Dense(4)),
        ("lambda", (8, 8, 3), keras.layers.Lambda(lambda x: x)),
    ):
        keras.Sequential([keras.Input(shape), flat(), head]).save(cwd / f"{name}.keras")
    (cwd / "cut.keras").write_bytes((cwd / "sigmoid.keras").read_bytes()[:500])
    return cwd


def listing(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_bad_flags_end_in_one_line_and_write_nothing(bad_files, case):
    bad, message = BAD_FLAGS[case]
    before = listing(bad_files)
    flags = ["--dataset=tiny.npz", "--out=run", *SMALL, *SIZES, *bad]
    status, _, errors = script("distill", *flags, cwd=bad_files)
    assert status == 1
    assert re.search(message, error_line(errors)), errors
    assert listing(bad_files) == before


def test_tensorflow_datasets_without_network_answers_in_one_line(bad_files, monkeypatch):
    monkeypatch.setattr(tfds, "_answers", lambda host, port: False)
    flags = ["--dataset=mnist", "--data_dir=data", "--out=run", *SMALL, *SIZES]
    status, _, errors = script("distill", *flags, cwd=bad_files)
    assert status == 1
    assert "cannot be downloaded from here" in error_line(errors)
    assert not (bad_files / "run").exists()


@pytest.mark.slow
def test_a_student_may_end_in_the_classifier_of_its_trained_teacher(bad_files):
    """The teacher is trained after the student was made, so that its classifier is copied again."""
    flags = ("--dataset=tiny.npz", "--loss=simkd", "--shortcut_removal=none", "--out=simkd", "--jobs=1")
    status, _, errors = script("distill", *flags, *SMALL, *SIZES, cwd=bad_files)
    assert status == 0, errors
    teacher, student = (
        keras.saving.load_model(bad_files / "simkd" / f"{name}.keras") for name in ("teacher", "student")
    )
    copied = student.get_layer("teacher_classifier").get_weights()
    for wanted, found in zip(teacher.layers[-1].get_weights(), copied, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert (bad_files / "simkd" / "saved_model").is_dir()
