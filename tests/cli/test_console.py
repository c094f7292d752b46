"""What goes wrong in a command: one line, its exit status, a traceback only on request."""

import warnings

import keras
import pytest
from absl import flags as absl_flags

from keras_kd.cli import console
from keras_kd.data.lazy_images import BadImageError
from keras_kd.training import callbacks
from keras_kd.utils import files
from keras_kd.utils.identity import IdentityMismatchError, NothingLeftError
from keras_kd.utils.optional import MissingPackageError


def guarded(error, debug=False, **switches):
    values = absl_flags.FlagValues()
    for name, value in switches.items():
        absl_flags.DEFINE_bool(name, value, "", flag_values=values)
    absl_flags.DEFINE_bool("debug", debug, "", flag_values=values)
    values(["command"])

    def main(values):
        if error is not None:
            raise error

    return console.guarded(main, values)


FORESEEN = {
    "value": (ValueError("depth must\nbe 6n+2"), 1, "error: depth must be 6n+2"),
    "file": (FileNotFoundError("there is no file"), 1, "error: there is no file"),
    "package": (MissingPackageError("needs onnx"), 1, "error: needs onnx"),
    "divergence": (callbacks.TrainingDivergedError("loss is nan"), 1, "error: loss is nan"),
    "stop": (callbacks.TrainingInterruptedError("stopped"), 75, "stopped: "),
    "ctrl-c": (KeyboardInterrupt(), 75, "stopped by Ctrl-C: "),
    "full disk": (OSError(28, "No space left on device"), 1, "error: the disk is full"),
    "other run": (IdentityMismatchError("run", "seed was 0 and is 1"), 1, "error: run was made of something"),
}


@pytest.mark.parametrize("case", FORESEEN)
def test_foreseen_errors_end_in_one_line(case, capsys):
    error, status, line = FORESEEN[case]
    assert guarded(error) == status
    errors = capsys.readouterr().err
    assert errors.startswith(line)
    assert len(errors.splitlines()) == 1


def test_full_memory_on_jax_ends_in_one_line(capsys, monkeypatch):
    jax = pytest.importorskip("jax")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert guarded(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(jax.errors.JaxRuntimeError):
        guarded(jax.errors.JaxRuntimeError("INTERNAL: a fault"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_data_format", "channels_first"), ("floatx", "float64"), ("floatx", "bfloat16")],
)
def test_a_keras_that_is_set_otherwise_is_named(capsys, name, value):
    """As by a keras.json: convolutions would take rows for channels, and sums would have two types."""
    before = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(value)
    try:
        assert guarded(None) == 1
    finally:
        getattr(keras.config, f"set_{name}")(before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Keras must be set to {name}=")
    assert line.endswith(f"Received: {value!r}")


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_backend_that_trains_nothing_is_named(capsys, monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert guarded(None) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: training needs KERAS_BACKEND=tensorflow or jax. Received: {backend!r}"


def test_what_went_well_says_nothing(capsys):
    assert guarded(None) == 0
    assert capsys.readouterr().err == ""


def test_only_the_command_gives_advice_on_flags(capsys):
    error = IdentityMismatchError("run", "seed was 0 and is 1")
    assert "--overwrite" not in str(error)
    guarded(error)
    assert capsys.readouterr().err.endswith("choose another --out, or pass --overwrite to start anew\n")
    guarded(NothingLeftError("damaged: start anew"))
    assert capsys.readouterr().err.endswith(": start anew with --overwrite, or choose another --out\n")


@pytest.mark.parametrize(
    ("switches", "advice"),
    [
        (
            {"skip_bad_images": None},
            "; or give the same command with --skip_bad_images, which goes on without it",
        ),
        ({"skip_bad_images": True}, ""),
        ({}, "; of a finished run's images, put back the one that it was trained on"),
    ],
)
def test_advice_on_a_bad_image_is_what_the_command_can_do(capsys, switches, advice):
    guarded(BadImageError("photos/a.png", "is empty"), **switches)
    told = "error: photos/a.png is empty: put a whole image in its place, or take it away"
    assert capsys.readouterr().err == f"{told}{advice}\n"


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="depth"):
        guarded(ValueError("depth"), debug=True)


def test_an_error_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded(ZeroDivisionError())


def test_warnings_take_one_line_and_the_way_they_are_shown_is_restored(capsys):
    shown = warnings.showwarning
    values = absl_flags.FlagValues()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        console.guarded(lambda values: warnings.warn("few examples", stacklevel=1), values)
    assert capsys.readouterr().err == "warning: few examples\n"
    assert warnings.showwarning is shown


def test_the_next_command_can_be_copied_into_a_shell(capsys):
    console.print_next("export", "cost", model="runs/my run/student.keras", dataset=None)
    assert capsys.readouterr().out == "next: keras-kd export '--model=runs/my run/student.keras' --cost\n"


def test_a_network_that_its_run_did_not_measure_is_exported_with_images(tmp_path, capsys):
    """As one of a study, which is refused without."""
    path = tmp_path / "model.keras"
    for result, end in (
        ({"accuracy": 0.9}, " --images=FOLDER"),
        ({"dataset": {}}, " --dataset=moved"),
        ({"dataset": {}, "fingerprints": {"model.keras": "0"}}, " --dataset=moved"),
        ({"dataset": {}, "fingerprints": {"other.keras": "0"}}, " --images=FOLDER"),
    ):
        files.write_json(result, tmp_path / "result.json")
        console.print_next_export(path, dataset="moved")
        assert capsys.readouterr().out == f"next: keras-kd export --model={path}{end}\n"


def test_names_in_tables_are_shown_as_they_are(capsys):
    names = ["[plain-20 taught by plain-20]", "[red]", ":warning:", "[/]"]
    console.print_table("[title]", [{"network": name} for name in names], ["network"])
    output = capsys.readouterr().out
    assert all(name in output for name in [*names, "[title]"])


def test_names_longer_than_the_table_go_on_in_the_next_line(capsys):
    names = [f"{letter}:temperature=2.134:nontarget_weight=5.312:" * 3 for letter in "abc"]
    console.print_table("title", [dict(zip("xyz", names, strict=True))], ["x", "y", "z"])
    lines = [line.split("│")[1:4] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert ["".join(cells).replace(" ", "") for cells in zip(*lines, strict=True)] == names


def test_shares_are_percentages(capsys):
    assert (console.percent(0.1234), console.percent(None)) == ("12.3%", "n/a")
    console.print_paths(run="a", tensorboard="b")
    assert capsys.readouterr().out == "run          a\ntensorboard  b\n"
