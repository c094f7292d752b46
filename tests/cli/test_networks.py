"""The networks that flags name: specs, short forms, files, twins, and what their runs measured."""

import importlib
import json
import re
import types

import keras
import numpy as np
import pytest
from absl import flags as absl_flags

from keras_kd.cli import flags, network_flags, networks, search_runs
from keras_kd.data import datasets
from keras_kd.distillation import recipes
from keras_kd.models import fading, serialization, weights
from keras_kd.training import Settings
from tests.support.arrays import tiny_arrays
from tests.support.commands import call
from tests.support.networks import mlp, one_block, same, weights_of

SETTINGS = Settings(strategy="none")


def values_of(name, *arguments):
    values = absl_flags.FlagValues()
    importlib.import_module(f"keras_kd.cli.{name}").define_flags(values)
    values([name, *arguments])
    return values


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "3", "{}", '{"networks": []}', '{"networks": {"teacher": {}}}']
)
def test_a_network_in_a_folder_that_is_no_run_has_no_recorded_accuracy(text, tmp_path):
    (tmp_path / "notes.txt").write_text("other files lie here too")
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert networks.recorded_accuracy(str(tmp_path / "teacher.keras"), mlp()) is None


def test_the_accuracy_that_a_run_measured_of_these_weights_is_known(tmp_path):
    teacher, student = mlp(seed=1), mlp(seed=2)
    result = {
        "networks": {"teacher": {"accuracy": 0.75}, "student_distilled": {"accuracy": 0.5}},
        "fingerprints": {
            "teacher.keras": weights.fingerprint(teacher),
            "student.keras": weights.fingerprint(student),
        },
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert networks.recorded_accuracy(str(tmp_path / "teacher.keras"), teacher) == 0.75
    assert networks.recorded_accuracy(str(tmp_path / "student.keras"), student) == 0.5
    assert networks.recorded_accuracy(str(tmp_path / "student.keras"), teacher) is None
    assert networks.recorded_accuracy(str(tmp_path / "mine.keras"), teacher) is None
    assert networks.recorded_accuracy(None, teacher) is None


def test_a_teacher_begins_with_the_students_weights_or_with_its_own(dataset):
    small = ("--teacher_depth=8", "--teacher_width=4")
    shared, said, own = (
        weights.digest(networks.new_teacher(values_of("distill", *small, *given), dataset, SETTINGS))
        for given in ((), ("--initial_weights=shared",), ("--initial_weights=own",))
    )
    assert shared == said != own


@pytest.fixture
def dataset(npz):
    return datasets.load(str(npz))


SHORT = ("--student_depth=8", "--student_width=4", "--teacher_depth=8", "--teacher_width=4")
SPECS = ("--student=cifar_resnet:8:width=4:shortcuts=none", "--teacher=cifar_resnet:8:width=4")


def test_a_spec_names_the_network_that_its_short_form_names(dataset):
    made = []
    for arguments in (SHORT, SPECS):
        values = values_of("distill", *arguments)
        made.append(
            [networks.new_student(values, dataset, SETTINGS), networks.new_teacher(values, dataset, SETTINGS)]
        )
    for one, other in zip(*made, strict=True):
        assert one.name == other.name
        assert same(weights_of(one), weights_of(other))


def new_networks(dataset, *arguments):
    values = values_of("distill", *arguments)
    removal = flags.shortcut_removal_of(values)
    return networks.new_networks(values, dataset, SETTINGS, recipes.parse_spec("kd"), removal), removal


@pytest.mark.parametrize(
    ("arguments", "baseline", "removal"),
    [
        (SHORT, "teacher", "fade"),
        (SPECS, "teacher", "fade"),
        ((SPECS[0], "--teacher=cifar_resnet:14:width=4"), None, "fade"),
        ((SPECS[0], "--teacher=wide_resnet:10:1", "--baseline"), "resnet8", "fade"),
        (("--student=wide_resnet:10:1:shortcuts=none", "--teacher=wide_resnet:10:1"), "teacher", "fade"),
        (("--student=wide_resnet:10:1", "--teacher=wide_resnet:10:1"), None, "none"),
    ],
)
def test_the_twin_of_a_spec_is_known(dataset, arguments, baseline, removal):
    made, found = new_networks(dataset, *arguments)
    assert getattr(made[-1], "name", made[-1]) == baseline
    assert found.name == removal
    assert (made[3] is None) == (removal == "none")


def test_a_student_may_be_a_file_of_an_own_network(dataset, tmp_path):
    own = one_block(seed=5)
    own.save(tmp_path / "own.keras")
    (_, alone, distilled, removed, baseline), removal = new_networks(
        dataset, f"--student={tmp_path / 'own.keras'}", "--teacher=cifar_resnet:8:width=4"
    )
    assert same(weights_of(alone), weights_of(own))
    assert same(weights_of(distilled), weights_of(own))
    assert (removed, baseline, removal.name) == (None, None, "none")


@pytest.mark.parametrize(
    ("shortcuts", "flags_given", "is_told"),
    [(False, (), True), (False, ("--shortcut_removal=none",), False), (True, (), False)],
)
def test_a_student_of_a_file_fades_only_if_asked_which_is_told(
    dataset, tmp_path, capsys, shortcuts, flags_given, is_told
):
    path = tmp_path / "own.keras"
    one_block(seed=5, shortcuts=shortcuts).save(path)
    made, removal = new_networks(
        dataset, f"--student={path}", "--teacher=cifar_resnet:8:width=4", *flags_given
    )
    assert (made[3], removal.name) == (None, "none")
    line = f"--student={path} has blocks without shortcuts: --shortcut_removal=fade trains one more student"
    assert (line in capsys.readouterr().out) is is_told


def test_a_teacher_of_a_spec_is_trained_and_one_of_a_file_is_not():
    assert networks.teacher_file(values_of("distill", "--teacher=runs/a/model.keras")) == "runs/a/model.keras"
    assert networks.teacher_file(values_of("distill", SPECS[1])) is None
    assert networks.teacher_file(values_of("distill")) is None


def test_flagfiles_hold_a_spec_or_its_short_form_never_both():
    text = flags.as_text(values_of("distill", *SPECS))
    assert not {name for names in network_flags.SHORT_FORMS.values() for name in names} & set(text)
    text = flags.as_text(values_of("distill", "--teacher=a.keras", "--teacher_depth=20"))
    assert (text["teacher"], text["teacher_depth"]) == ("a.keras", "20")  # as in those of earlier versions
    assert set(text) >= set(network_flags.SHORT_FORMS["student"])


def test_the_best_setting_of_a_search_is_of_its_networks(tmp_path):
    run = types.SimpleNamespace(path=tmp_path)
    own = types.SimpleNamespace(teacher_file=tmp_path / "teacher.keras")
    result = types.SimpleNamespace(best=types.SimpleNamespace(values={"temperature": 2.0, "alpha": 0.5}))
    for given, wanted in (
        ("--student=wide_resnet:10:1", {"--student=wide_resnet:10:1"}),
        ("--student=/a/own.keras", {"--student=/a/own.keras"}),
        ("--student_width=4", {"--student_depth=20", "--student_width=4", "--student_shortcuts=none"}),
    ):
        values = values_of("search", given)
        search_runs.write_best(values, run, own, SETTINGS, result)
        lines = (tmp_path / "best.cfg").read_text().splitlines()
        assert {line for line in lines if line.startswith("--student")} == wanted
        assert f"--teacher={tmp_path / 'teacher.keras'}" in lines


BAD = {
    "student twice": (
        ["--student=wide_resnet:10:1", "--student_width=4"],
        "--student=wide_resnet:10:1 and --student_width both say which network the student is: leave",
    ),
    "teacher twice": (["--teacher=wide_resnet:10:1", "--teacher_depth=8"], "leave --teacher_depth out"),
    "unknown": (["--student=wide_resnett:10:1"], "did you mean 'wide_resnet'"),
    "unknown teacher": (["--teacher=resnet"], "unknown network 'resnet'"),
    "small images": (["--student=applications:MobileNetV3Small"], "--student=applications.* at least 32x32"),
    "unknown option": (["--student=applications:ResNet50:alpha=1"], "has no option 'alpha'"),
    "no file": (["--student=none.keras"], "there is no file 'none.keras'"),
    "no twin": (
        ["--student=own.keras", "--teacher=wide_resnet:10:1", "--baseline"],
        "which own.keras does not have",
    ),
    "nothing to lose": (["--student=own.keras", "--shortcut_removal=fade"], "there is no shortcut to lose"),
}


@pytest.mark.parametrize("case", BAD)
def test_networks_that_cannot_be_end_in_one_line(case, npz, tmp_path):
    bad, message = BAD[case]
    flat = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    keras.Sequential(flat).save(tmp_path / "own.keras")
    status, _, errors = call(
        "distill", f"--dataset={npz}", "--out=run", "--strategy=none", *bad, cwd=tmp_path
    )
    assert status == 1
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert re.search(message, errors), errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "distill"])
def test_a_network_of_more_outputs_than_classes_is_refused_before_it_is_trained(command, npz, tmp_path):
    flat = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(6)]
    keras.Sequential(flat, name="big").save(tmp_path / "big.keras")
    given = (f"--dataset={npz}", "--out=run", "--strategy=none", "--epochs=1", "--student=big.keras")
    given += SPECS[1:] if command == "distill" else ()
    status, _, errors = call(command, *given, cwd=tmp_path)
    assert status == 1
    assert errors == (
        f"error: --student=big.keras: the network 'big' has 6 outputs, and {npz} has 4 classes: keras-kd "
        f"train --init=big.keras gives it a new classifier\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_student_in_the_middle_of_fading_is_refused_before_anything_is_written(npz, tmp_path):
    faded = fading.with_fading_shortcuts(one_block(shortcuts=False), [(0, 9)])
    serialization.save_model(faded, tmp_path / "faded.keras")
    given = (f"--dataset={npz}", "--out=run", "--strategy=none", "--student=faded.keras")
    for way in ("none", "fade"):
        status, _, errors = call("distill", *given, SPECS[1], f"--shortcut_removal={way}", cwd=tmp_path)
        assert status == 1
        assert re.match("error: .*has fading shortcuts already: take .*remove_shortcuts of it", errors)
        assert errors.count("\n") == 1
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_application_is_distilled_from_a_network_in_a_file(tmp_path):
    """A teacher in a file, a student of keras.applications: trained, measured, exported and read again."""
    pytest.importorskip("tensorflow")
    arrays = tiny_arrays(np.random.default_rng(0), train=48, test=16, shape=(32, 32, 3))
    np.savez(tmp_path / "tiny.npz", **arrays)
    one = ("--dataset=tiny.npz", "--epochs=1", "--batch_size=16", "--strategy=none", "--snapshots=0")
    flags_of_teacher = ("--student=cifar_resnet:8:width=4", "--epochs=4", "--out=runs/teacher")
    status, _, errors = call("train", *one, *flags_of_teacher, cwd=tmp_path)
    assert status == 0, errors
    student = "--student=applications:MobileNetV3Small:alpha=0.35"
    taught = (student, "--teacher=runs/teacher/model.keras", "--out=runs/taught")
    status, output, errors = call("distill", *one, *taught, cwd=tmp_path)
    assert status == 0, errors
    result = json.loads((tmp_path / "runs" / "taught" / "result.json").read_text())
    assert (result["student"], result["effects"]["drop"]) == ("MobileNetV3Small", None)
    assert result["shortcut_removal"] == "none"
    assert "gain" in output
    assert "scale them differently" not in output
    assert keras.saving.load_model(tmp_path / "runs" / "taught" / "student.keras").name == "MobileNetV3Small"
    assert result["export"]["same_class"] == 1
