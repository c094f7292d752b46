"""The tutorials run on tiny settings, and end in an answer."""

import importlib
import json
import pathlib
import re

import keras
import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from experiments.tutorials import (
    applications_teacher,
    look_inside,
    many_devices,
    no_shortcuts,
    own_study,
    search,
    ship_it,
    your_images,
)
from keras_kd import data
from keras_kd.cli import distill, main
from keras_kd.data import datasets
from keras_kd.models import registry
from keras_kd.study import session
from keras_kd.training import teacher_check
from tests.support import snippets
from tests.support.runs import finished_run


def test_the_folder_holds_the_digits(tmp_path):
    assert your_images.write_images(tmp_path / "images", 120) == 120
    dataset = datasets.load(f"{tmp_path / 'images'}:96")
    assert dataset.image_shape == (96, 96, 3)
    assert set(dataset.class_names) == set(your_images.NAMES)
    zero = np.asarray(Image.open(tmp_path / "images" / "zero" / "0000.jpg"))
    assert zero.shape == (your_images.FILE_SIZE, your_images.FILE_SIZE)
    assert zero[:7].max() < 30  # the border
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    your_images.write_images(tmp_path / "images", 120)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")} == before


@pytest.mark.slow
def test_the_three_commands(tmp_path, capsys):
    flags = [f"--folder={tmp_path / 'tutorial'}", "--images=300", "--epochs=1"]
    flags += ["--teacher=cifar_resnet:8:width=4", "--student=cifar_resnet:8:width=2"]
    status = main.call_command(your_images, "tutorial", flags)
    output = capsys.readouterr()
    assert status == 0, output.err
    assert output.out.count("\n$ keras-kd ") == 3
    folder = tmp_path / "tutorial"
    result = json.loads((folder / "student" / "result.json").read_text())
    assert result["networks"]["student_distilled"]["accuracy"] > 0
    assert (folder / "student" / "exported" / "student" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_network_without_shortcuts(capsys, monkeypatch):
    monkeypatch.setattr(data, "load", snippets.few_digits(data.load))
    monkeypatch.setattr(teacher_check, "check_teacher", lambda *arguments, **options: None)
    assert main.call_command(no_shortcuts, "tutorial", ["--depth=8", "--epochs=1"]) == 0
    output = capsys.readouterr().out
    residual, alone, _, faded = map(float, re.findall(r"([\d.]+)% of 48 test images", output))
    found = re.search(r"loses (-?[\d.]+) points; .* ends (-?[\d.]+) points below", output)
    assert [float(each) for each in found.groups()] == pytest.approx(
        [residual - alone, residual - faded], abs=0.11
    )
    assert "one seed: no interval over seeds" in output


class Typed:
    """Commands whose flags are checked in the place of being run; `instead[name](values)` stands in."""

    def __init__(self):
        self.lines, self.instead = [], {}

    def __call__(self, name, arguments):
        values = absl_flags.FlagValues()
        importlib.import_module(f"keras_kd.cli.{name}").define_flags(values)
        given = [each for each in arguments if not each.startswith("--flagfile=")]
        assert values([name, *given]) == [name]
        self.lines.append((name, *arguments))
        self.instead[name](values)
        return 0


@pytest.fixture
def typed(monkeypatch):
    found = Typed()
    monkeypatch.setattr(main, "call", found)
    return found


def written(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def test_a_search_and_its_best_setting_again(typed, tmp_path, capsys):
    effects = {"gain": 0.0125, "gain_interval": [-0.02, 0.045]}
    typed.instead["search"] = lambda values: None
    typed.instead["distill"] = lambda values: written(
        pathlib.Path(values.out, "result.json"), effects=effects
    )
    assert main.call_command(search, "tutorial", [f"--folder={tmp_path}", "--trials=2"]) == 0
    assert [line[0] for line in typed.lines] == ["search", "distill"]
    assert f"--flagfile={tmp_path / 'search' / 'best.cfg'}" in typed.lines[1]
    assert "gains +1.2 points on the student alone (-2.0 to +4.5:" in capsys.readouterr().out


def test_a_study_of_ones_own(typed, tmp_path, capsys):
    def studied(values):
        assert session.read(values.study).seeds == (0, 1, 2)
        rows = [("width", "variant", "seed", "accuracy")]
        for seed, (narrow, wide) in enumerate(((0.05, 0.01), (0.07, 0.01), (0.06, 0.01))):
            for width, gain in (("2", narrow), ("8", wide)):
                rows += [(width, "plain", seed, 0.8), (width, "plain + KD", seed, 0.8 + gain)]
                rows += [(width, "residual", seed, 0.9)]
        pathlib.Path(values.out).mkdir()
        pathlib.Path(values.out, "results.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))

    typed.instead["study"] = studied
    assert main.call_command(own_study, "tutorial", [f"--folder={tmp_path / 'mine'}"]) == 0
    # Student's t of three: 4.303 times 1 / sqrt(3) points.
    assert (
        "The narrow student gains +5.0 points (+2.5 to +7.5) more than the wide one: decided"
        in capsys.readouterr().out
    )


def test_devices_are_compared(monkeypatch, tmp_path, capsys):
    def ran(module, *arguments):
        values = absl_flags.FlagValues()
        distill.define_flags(values)
        values([module, *arguments])
        loss = 0.5 if values.replicas == 1 else 0.50001
        networks = {"student_distilled": {"accuracy": 0.9, "loss": loss}}
        written(pathlib.Path(values.out, "result.json"), networks=networks)

    monkeypatch.setattr(many_devices, "in_own_process", ran)
    assert main.call_command(many_devices, "tutorial", [f"--folder={tmp_path}"]) == 0
    assert "The losses differ by 2e-05 of their size" in capsys.readouterr().out


def dense(units, input_shape, num_classes, *, name=None):
    """A network that is quickly trained."""
    layers = [keras.Input(input_shape), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
    layers += [keras.layers.Dense(units), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)], name=name)


@pytest.mark.slow
def test_a_trained_network_becomes_the_teacher(monkeypatch, capsys):
    monkeypatch.setitem(registry.BUILDERS, "dense", dense)
    flags = ["--teacher=dense:32", "--student=dense:4", "--epochs=3", "--images=300"]
    assert main.call_command(applications_teacher, "tutorial", flags) == 0
    output = capsys.readouterr().out
    found = re.findall(r"([\d.]+)% of 60 test images", output)
    assert len(found) == 4
    changed = float(re.search(r"changed its accuracy by ([+-][\d.]+) points", output)[1])
    assert changed == pytest.approx(float(found[3]) - float(found[2]), abs=0.11)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return finished_run(tmp_path_factory)[0]


@pytest.mark.slow
def test_files_are_asked_about_all_test_images(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    assert main.call_command(ship_it, "tutorial", ["--run=runs/first", "--dataset=tiny.npz"]) == 0
    output = capsys.readouterr().out
    for name in ("student.keras", "model.tflite", "model-full_integer.tflite", "model.onnx"):
        assert re.search(rf"^{re.escape(name)} +\d+ kB +[\d.]+%$", output, re.M)
    assert re.search(r"Ship model\S+: the smallest", output)


def test_networks_are_looked_into(typed, tmp_path, capsys):
    def network(label, **values):
        return {"label": label, "accuracy": 0.9} | values

    def found(name, key, residual, plain):
        networks = [network("teacher", **{key: residual}), network("student distilled", **{key: plain})]
        return lambda values: written(
            pathlib.Path(values.run, name, "result.json"), groups=[{"networks": networks}]
        )

    typed.instead["distill"] = lambda values: None
    typed.instead["landscape"] = found("landscape", "not_convex", 0.1, 0.5)
    typed.instead["reuse"] = found("reuse", "lesion_drop", 0.25, 0.8)
    assert main.call_command(look_inside, "tutorial", [f"--run={tmp_path / 'run'}"]) == 0
    assert [line[0] for line in typed.lines] == ["distill", "landscape", "reuse"]
    output = capsys.readouterr().out
    assert re.search(r"^student distilled .* not convex +50% +without one block -80.0 points$", output, re.M)
    assert "the residual teacher by -25.0 points, the plain student that it taught by -80.0 (one" in output
