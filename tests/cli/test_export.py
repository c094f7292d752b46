"""`export`, on the folder of a run."""

import collections
import dataclasses
import json
import re
import shutil
import signal
import sys
import time

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.cli import terminal
from keras_kd.data import datasets
from keras_kd.export import (
    bundle,
    cost_card,
    formats,
    model_card,
    parity,
    prediction,
    saved_model,
    sources,
    twins,
)
from keras_kd.export.manifest import Manifest
from keras_kd.models import cost, serialization, weights
from keras_kd.training import evaluation
from keras_kd.utils import files, folders
from tests.support import golden
from tests.support.arrays import tiny_arrays
from tests.support.commands import call
from tests.support.image_folders import write_folder, write_image
from tests.support.networks import shaken
from tests.support.processes import ROOT, Forked, error_line, run_forked, run_python

pytestmark = pytest.mark.slow  # whole runs

MODEL = "--model=runs/first/student.keras"


@pytest.fixture(scope="module")
def cwd(tmp_path_factory):
    """A folder with a dataset and a run as `experiments.distill` leaves it, of random networks."""
    cwd = tmp_path_factory.mktemp("work")
    for seed, name in enumerate(("tiny", "other")):
        np.savez(cwd / f"{name}.npz", **tiny_arrays(np.random.default_rng(seed)))
    dataset = datasets.load(str(cwd / "tiny.npz"))
    run, fingerprints = cwd / "runs" / "first", {}
    for name, depth, shortcuts in (("student", 8, False), ("teacher", 14, True)):
        network = keras_kd.cifar_resnet(
            depth, dataset.image_shape, dataset.num_classes, width=4, shortcuts=shortcuts
        )
        serialization.save_model(shaken(network), run / f"{name}.keras")
        fingerprints[f"{name}.keras"] = weights.fingerprint(network)
    splits = ("train", "validation", "test")
    result = {
        "temperature": 4.0,
        "alpha": 0.9,
        "networks": {"student_distilled": {"accuracy": 0.5}, "teacher": {"accuracy": 0.75}},
        "fingerprints": fingerprints,
        "seed": 0,
        "settings": {"epochs": 3},
        "versions": {"keras": "3"},
        "dataset": {
            "name": "tiny.npz",
            "fingerprint": dataset.fingerprint,
            "split_seed": dataset.split_seed,
            "examples": {split: len(getattr(dataset, split).labels) for split in splits},
        },
    }
    files.write_json(result, run / "result.json")
    files.write_text("--dataset=tiny.npz\n", run / "flags.cfg")
    return cwd


@pytest.fixture(scope="module")
def shipped(cwd):
    """What one command prints."""
    flags = (MODEL, "--cost", "--calls=5", "--batches=1,4", "--same_class=0.5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost_card, "set_threads", lambda threads: None)  # this process has long run TensorFlow
        status, output, errors = call("export", *flags, cwd=cwd)
    assert status == 0, errors[-3000:]
    return output


def test_what_the_terminal_shows(shipped):
    """Without the costs, whose table is as wide as times are."""
    files, _, costs = shipped.partition("student: converting")
    golden.check("export", files + costs[costs.index("folder ") :])


def test_every_format_is_written_compared_and_told(cwd, shipped):
    folder = cwd / "runs" / "first" / "exported" / "student"
    manifest = json.loads((folder / "export.json").read_text())
    files = {each["file"]: each for each in manifest["files"]}
    assert manifest["resizing"] == "centre"
    assert list(files) == [
        "saved_model.pb",
        "model.tflite",
        "model-float16.tflite",
        "model-dynamic_range.tflite",
        "model-full_integer.tflite",
        "model.onnx",
    ]
    card = (folder / "README.md").read_text()
    for name, each in files.items():
        assert (folder / name).is_file()
        assert name in shipped
        assert f"| {name} " in card
        assert name in shipped.partition("Compared with")[0]  # what it is for
        assert each["images"] == 24
        assert each["max_logit_difference"] < (1e-4 if each["kind"] == "float32" else 0.5)
    assert "temperature 4.0, alpha 0.9" in card
    model, dataset = _student(cwd)
    accuracy = evaluation.evaluate(model, dataset)["accuracy"]
    assert manifest["accuracy"] == pytest.approx(accuracy)
    assert f"The Keras model is right on {100 * accuracy:.1f} % of all 24 test images." in card
    assert f"| the Keras model |  |  |  | {100 * accuracy:.1f} % |  | 24 |" in card
    assert f"| 100.0 % | {100 * accuracy:.1f} % | 0 | 24 |" in card  # of a file
    assert "That of tiny.npz is not known to this package" in card
    assert (folder / "metadata.json").is_file()
    assert not list((cwd / "runs" / "first" / "exported").glob(".part-*"))


def _student(cwd):
    """`(network, dataset)` of the run."""
    path = cwd / "runs" / "first" / "student.keras"
    return serialization.load_model(path), datasets.load(str(cwd / "tiny.npz"))


def test_each_file_answers_about_image_files(cwd, shipped, tmp_path):
    model, dataset = _student(cwd)
    for place, (image, label) in enumerate(zip(dataset.test.images, dataset.test.labels, strict=True)):
        write_image(image, tmp_path / str(label) / f"{place:02d}.png")
    paths = sorted(tmp_path.rglob("*.png"), key=lambda path: path.stem)
    folder = cwd / "runs" / "first" / "exported" / "student"
    right = round(24 * evaluation.evaluate(model, dataset)["accuracy"])
    for name in ("", "model.tflite", "model.onnx", "../../student.keras"):
        predictor = prediction.open_predictor(folder / name, str(cwd / "tiny.npz"))
        assert predictor.class_names == dataset.class_names
        found, bad = prediction.predict(predictor, paths, batch_size=10)
        assert (prediction.right_by_folder(predictor, found), bad) == ((right, 24), [])


def test_what_the_card_says_of_use_runs(cwd, shipped, monkeypatch):
    folder = cwd / "runs" / "first" / "exported" / "student"
    snippets = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    dataset, found = datasets.load(str(cwd / "tiny.npz")), []
    images = dataset.test.images[:6]
    monkeypatch.chdir(folder)
    for snippet in snippets:
        names = {"images": images}
        exec(snippet, names)  # it is the card's own
        found.append(names["classes"].tolist())
    model = serialization.load_model(cwd / "runs" / "first" / "student.keras")
    expected = parity.expected_logits(model, images, dataset)
    assert found == [expected.argmax(axis=1).tolist()] * 3


@pytest.mark.parametrize(
    ("kind", "same_class", "logits", "other"),
    [
        ("full_integer", 0.96, 0.05, "take dynamic_range, float16 or float32"),
        ("dynamic_range", 1.0, 0.25, "take float16 or float32"),
        ("full_integer", 0.99, 0.09, None),
        ("float32", 0.5, 0.5, None),
    ],
)
def test_a_quantised_file_that_differs_much_is_marked(kind, same_class, logits, other, capsys):
    found = parity.Parity(logits, same_class, 0.0, 300)
    file = formats.ExportedFile("model-x.tflite", "litert", kind, None, True, 2, found)
    terminal.print_files(Manifest("student.keras", "0", (file,), accuracy=0.5, test_images=300))
    printed = " ".join(capsys.readouterr().out.split())
    assert ("model-x.tflite (!)" in printed) == (other is not None)
    if other is None:
        assert "names another class" not in printed
    else:
        share = f"model-x.tflite names another class for {1 - same_class:.1%} of 300 images"
        assert share in printed
        assert other in printed


def test_the_costs_are_those_of_the_twins(cwd, shipped):
    found = json.loads((cwd / "runs" / "first" / "exported" / "student" / "costs.json").read_text())
    student, twin, teacher = found["networks"]
    assert [each["label"] for each in found["networks"]] == ["student", "residual twin", "teacher"]
    assert [each["accuracy"] for each in found["networks"]] == [0.5, None, 0.75]
    assert found["threads"] == 1
    for about, name in ((student, "student"), (teacher, "teacher")):
        wanted = cost.cost(serialization.load_model(cwd / "runs" / "first" / f"{name}.keras"))
        assert about["peak"]["float32"] == wanted.peak("float32")
        assert about["multiply_adds"] == wanted.multiply_adds
        for dtype in ("float32", "uint8"):
            assert wanted.peak(dtype) <= about["arena"][dtype] <= wanted.peak(dtype) + 512
        assert about["files"]["LiteRT"] > about["files"]["LiteRT, full integer"]
        assert set(about["latency"]) == {"TensorFlow", "LiteRT", "LiteRT, full integer", "ONNX Runtime"}
        for timed in about["latency"].values():
            assert set(timed) == {"1", "4"}
            assert all(0 < each["median"] <= each["percentile_90"] for each in timed.values())
    assert student["peak"]["float32"] < twin["peak"]["float32"] == teacher["peak"]["float32"]
    assert student["parameters"] == twin["parameters"] < teacher["parameters"]
    card = (cwd / "runs" / "first" / "exported" / "student" / "README.md").read_text()
    assert "|  | student | residual twin | teacher |\n| --- | --- | --- | --- |\n| parameters |" in card
    assert "| ONNX Runtime: batch 4, ms" in card
    assert re.search(r"student: -\d+ % peak memory, .*x latency\b.* against its residual twin\.", card)
    assert re.search(r"student: -\d+ % peak memory, ", shipped)
    assert (
        "Memory over the layers"
        in (cwd / "runs" / "first" / "exported" / "student" / "costs.html").read_text()
    )


@pytest.mark.slow
def test_what_is_refused_is_one_line_and_changes_nothing(cwd, shipped):
    (cwd / "full" / "first").mkdir(parents=True)
    (cwd / "full" / "first" / "notes.txt").write_text("mine")
    files.write_text('{"digest": 3}', cwd / "damaged" / "first" / "export.json")
    serialization.save_model(
        serialization.load_model(cwd / "runs" / "first" / "student.keras"), cwd / "loose" / "a.keras"
    )
    for name in ("code", "half"):
        shutil.copytree(cwd / "runs" / "first", cwd / "runs" / name)
    with_code = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x), *_head()])
    with_code.save(cwd / "runs" / "code" / "student.keras")
    whole = (cwd / "runs" / "first" / "student.keras").read_bytes()
    (cwd / "runs" / "half" / "student.keras").write_bytes(whole[: len(whole) // 2])
    wanted = [
        ([], "give --model=FILE.keras, or --cost with --networks"),
        ([MODEL, "--cost", "--networks=resnet20"], "give --model=FILE.keras, or --cost with --networks"),
        (["--networks=resnet20"], "--networks are compared with --cost"),
        (["--images=photos", "--cost", "--networks=resnet20"], "--images are of a network that was trained"),
        ([MODEL, "--preprocessing=unit"], "--preprocessing is of a network that was trained elsewhere"),
        ([MODEL, "--images=tiny.npz"], "is of a run, whose own images say how it is asked"),
        ([MODEL, "--formats=coreml"], "formats are saved_model, litert, onnx. Received: coreml"),
        ([MODEL, "--litert=int4"], "kinds are float32, float16, dynamic_range, full_integer. Received: int4"),
        (["--model=runs/none.keras"], "there is no file 'runs/none.keras'"),
        (["--model=loose/a.keras"], "loose holds no finished run of distill or train"),
        (["--model=runs/code/student.keras"], "holds a Lambda, that is code, which is never run"),
        (["--model=runs/half/student.keras"], "runs/half/student.keras: is not a whole .keras file"),
        ([MODEL, "--dataset=other.npz"], "the dataset 'other.npz' is not the one of runs/first"),
        (
            [MODEL, "--out=damaged"],
            "damaged/first/export.json is damaged or of an older version: delete damaged/first",
        ),
        ([MODEL, "--out=full"], "full/first exists and holds no exported network"),
        ([MODEL, "--formats=onnx", "--tolerance=0"], "model.onnx does not compute what the model does"),
        (
            [MODEL, "--formats=litert,onnx", "--litert=full_integer", "--tolerance=0", "--out=fresh"],
            "model.onnx does not compute what the model does",  # after a file that does
        ),
    ]
    folder = cwd / "runs" / "first" / "exported" / "student"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for flags, message in wanted:
        status, _, errors = call("export", *flags, cwd=cwd)
        assert status == 1
        assert message in error_line(errors)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [path.name for path in (cwd / "full" / "first").iterdir()] == ["notes.txt"]
    assert not list((cwd / "fresh").iterdir())


@pytest.mark.filterwarnings("default:costs.json was not measured")
def test_costs_of_another_network_are_not_on_its_card(cwd, shipped):
    folder = cwd / "runs" / "first" / "exported" / "student"
    own = (folder / "costs.json").read_bytes()
    other = files.read_json(folder / "costs.json") | {"digest": "0" * 16}
    files.write_json(other, folder / "costs.json")  # whole, as a copy of another run's is
    flags = (MODEL, "--formats=litert", "--litert=float32")
    status, _, errors = call("export", *flags, cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "warning: costs.json was not measured on this network" in errors
    assert "batch 4, ms" not in (folder / "README.md").read_text()
    (folder / "costs.json").write_bytes(own)
    status, _, errors = call("export", *flags, cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "was not measured" not in errors
    assert "batch 4, ms" in (folder / "README.md").read_text()


def test_of_two_exports_at_once_one_is_refused_and_the_other_is_whole(cwd):
    flags = (MODEL, "--formats=saved_model,litert", "--litert=float32", "--out=both")
    first = Forked("experiments.export", *flags, cwd=cwd, output=cwd / "first.txt")
    part, folder = cwd / "both" / ".part-first", cwd / "both" / "first"
    while not part.exists():
        assert first.poll() is None, (cwd / "first.txt").read_text()
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    try:
        status, _, errors = run_forked("experiments.export", *flags, cwd=cwd)
        assert status == 1
        assert re.search(f"both/first is in use by process {first.pid} on ", error_line(errors))
        assert not folder.exists()
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait() == 0, (cwd / "first.txt").read_text()
    listed = [each["file"] for each in json.loads((folder / "export.json").read_text())["files"]]
    assert listed == ["saved_model.pb", "model.tflite"]
    assert [path.name for path in (cwd / "both").iterdir()] == ["first"]
    source = serialization.load_model(cwd / "runs" / "first" / "student.keras")
    dataset = datasets.load(str(cwd / "tiny.npz"))
    assert saved_model.measure_parity(folder, source, dataset)["max_logit_difference"] < 1e-4


def test_files_of_another_run_are_never_replaced(cwd, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(
            cwd / "runs" / "first", tmp_path / name / "run", ignore=shutil.ignore_patterns("exported")
        )
        shutil.copy(cwd / "tiny.npz", tmp_path)
    flags = ("--formats=litert", "--litert=float32", "--out=out")
    status, _, errors = call("export", "--model=a/run/student.keras", *flags, cwd=tmp_path)
    assert status == 0, errors
    before = (tmp_path / "out" / "run" / "model.tflite").read_bytes()
    status, _, errors = call("export", "--model=b/run/student.keras", *flags, cwd=tmp_path)
    assert status == 1
    assert f"out/run holds the files of another run, {tmp_path / 'a' / 'run'}" in error_line(errors)
    assert (tmp_path / "out" / "run" / "model.tflite").read_bytes() == before
    status, _, errors = call("export", "--model=a/run/student.keras", *flags, cwd=tmp_path)
    assert status == 0, errors


@pytest.mark.slow
def test_unknown_names_of_networks_are_refused(cwd):
    flags = ("--cost", "--networks=vgg16")
    status, _, errors = run_forked("experiments.export", *flags, cwd=cwd)
    assert status == 1
    assert "names such as resnet20, plain50 and plain50-unfolded" in error_line(errors)


def _head():
    return [keras.layers.Flatten(), keras.layers.Dense(4)]


@pytest.mark.slow
def test_a_missing_package_ends_in_the_line_that_installs_it(cwd, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    status, _, errors = call("export", MODEL, "--formats=saved_model", "--cost", "--out=none", cwd=cwd)
    assert status == 1
    assert error_line(errors) == "error: onnxruntime is not installed: pip install 'keras_kd[onnx]'"
    assert not (cwd / "none").exists()


Pictures = collections.namedtuple("Pictures", ["image_shape", "num_classes"])


def trained(folder, **networks):
    """What ships the student of a run with these networks, each of them `(depth, shortcuts)`."""
    fingerprints = {}
    for name, (depth, shortcuts) in networks.items():
        network = keras_kd.cifar_resnet(depth, (8, 8, 3), 4, width=4, shortcuts=shortcuts)
        serialization.save_model(shaken(network), folder / f"{name}.keras")
        fingerprints[f"{name}.keras"] = weights.fingerprint(network)
    accuracies = {"student_distilled": 0.5, "baseline": 0.625, "teacher": 0.75}
    measured = {label: {"accuracy": value} for label, value in accuracies.items()}
    result = {"networks": measured, "fingerprints": fingerprints}
    student = serialization.load_model(folder / "student.keras")
    return sources.Source(folder / "student.keras", "a", student, Pictures((8, 8, 3), 4), result)


@pytest.mark.parametrize(
    ("networks", "labels"),
    [
        ({}, {"student": 0.5, "residual twin": None}),
        ({"teacher": (8, True)}, {"student": 0.5, "teacher (residual twin)": 0.75}),
        ({"teacher": (8, False)}, {"student": 0.5, "residual twin": None, "teacher": 0.75}),
        (
            {"teacher": (14, True), "baseline": (8, True)},
            {"student": 0.5, "residual twin": 0.625, "teacher": 0.75},
        ),
        ({"baseline": (14, True)}, {"student": 0.5, "residual twin": None}),
    ],
)
def test_the_twin_is_the_one_that_was_trained_if_there_is_one(networks, labels, tmp_path):
    found = twins.with_twin(trained(tmp_path, student=(8, False), **networks), fold=False)
    assert not any(each.fold for each in found.values())
    assert {label: each.accuracy for label, each in found.items()} == labels


def test_an_accuracy_is_that_of_the_weights_that_were_measured(tmp_path):
    source = trained(tmp_path, student=(8, False), teacher=(8, True))
    assert sources.accuracy(source.result, "student.keras", source.network) == 0.5
    source.network.weights[0].assign(source.network.weights[0] + 0.01)
    assert sources.accuracy(source.result, "student.keras", source.network) is None
    twin = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)
    weights.copy_weights(serialization.load_model(source.path), twin)  # the same weights, with shortcuts
    assert sources.accuracy(source.result, "student.keras", twin) is None
    del source.result["fingerprints"]  # as in a run of an older version
    assert sources.accuracy(source.result, "student.keras", serialization.load_model(source.path)) is None


@pytest.mark.parametrize("damage", ["cut", "replaced", "a bit", "gone"])
def test_the_card_lists_what_was_compared_and_nothing_else(cwd, tmp_path, damage):
    """Damage to one file is found when another one is written."""
    source = sources.find_source(cwd / "runs" / "first" / "student.keras", str(cwd / "tiny.npz"))
    target = tmp_path / "student"
    one = bundle.BundleConfig(formats=("litert",), kinds=("float32",), images=16, same_class=0.0)
    bundle.export_bundle(source, target, one)
    path = target / "model.tflite"
    whole = path.read_bytes()
    changed = {
        "cut": whole[:100],
        "replaced": b"another network",
        "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
    }
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    other = dataclasses.replace(one, kinds=("dynamic_range",))
    with pytest.warns(UserWarning, match="model.tflite is not the file that was compared with the model"):
        written = bundle.export_bundle(source, target, other).files
    assert [file.file for file in written] == ["model-dynamic_range.tflite"]
    card = (target / model_card.CARD).read_text()
    assert "| model.tflite |" not in card
    assert ("Also here, and not compared with anything: `model.tflite`." in card) == (damage != "gone")
    again = bundle.export_bundle(source, target, one).files
    assert [file.file for file in again] == ["model.tflite", "model-dynamic_range.tflite"]
    assert all(file.is_in(target) for file in again)
    assert "Also here" not in (target / model_card.CARD).read_text()


def test_a_network_in_the_place_of_the_one_that_was_measured_is_refused(cwd, tmp_path):
    shutil.copytree(cwd / "runs" / "first", tmp_path / "run", ignore=shutil.ignore_patterns("exported"))
    shutil.copy(tmp_path / "run" / "teacher.keras", tmp_path / "run" / "student.keras")
    with pytest.raises(ValueError, match=r"student\.keras is not the network that its run measured"):
        sources.find_source(tmp_path / "run" / "student.keras", str(cwd / "tiny.npz"))


def test_two_exports_into_one_folder_are_made_one_after_the_other(cwd, tmp_path):
    source = sources.find_source(cwd / "runs" / "first" / "student.keras", str(cwd / "tiny.npz"))
    config = bundle.BundleConfig(formats=("litert",), kinds=("float32",), images=16)
    target = tmp_path / "student"
    bundle.export_bundle(source, target, config)
    with (
        folders.alone_in(target),
        pytest.raises(ValueError, match=r"student is in use by process \d+ on"),
    ):
        bundle.export_bundle(source, target, config)
    assert (target / "model.tflite").is_file()


def test_networks_of_other_kinds_have_no_twin(tmp_path):
    source = trained(tmp_path, student=(8, False))
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    wide = keras_kd.wide_resnet(10, 1, (8, 8, 3), 4)
    for network in (other, wide):
        assert list(twins.with_twin(dataclasses.replace(source, network=network))) == ["student"]


def test_each_kind_of_file_has_its_own_bound():
    found = formats.ExportedFile(
        "model.tflite", "litert", "full_integer", None, True, 100, parity.Parity(0.05, 0.9, 0.5, 300)
    )
    bounds = {"tolerance": 0.01, "same_class": 0.85}
    formats.check(found, **bounds)
    with pytest.raises(parity.ParityError, match="same class for 90.0% of 300 images, 95.0% is asked for"):
        formats.check(dataclasses.replace(found, kind="dynamic_range"), tolerance=1.0, same_class=0.95)
    with pytest.raises(parity.ParityError, match="model.tflite .* differ by 0.05 .* 0.01 is allowed"):
        formats.check(dataclasses.replace(found, kind="float32"), **bounds)


def test_the_folder_of_exports_is_one_inside_out(tmp_path, monkeypatch):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "runs" / "a")
    for path in ("student.keras", "../a/student.keras", "../../runs/b/../a/model.keras"):
        assert sources.name_of(path) == "a"
    assert sources.name_of("../teacher.keras") == "runs-teacher"
    with pytest.raises(ValueError, match="gives its exports their name. Received: '/student.keras'"):
        sources.name_of("/student.keras")


@pytest.mark.slow
def test_plain_python_asks_a_shipped_network(cwd, shipped):
    dataset = datasets.load(str(cwd / "tiny.npz"))
    np.save(cwd / "images.npy", dataset.test.images)
    arguments = (cwd / "runs" / "first" / "exported" / "student", cwd / "images.npy")
    status, output, errors = run_python(
        "-I", ROOT / "experiments" / "call_exported.py", *arguments, cwd=cwd, PYTHONPATH=""
    )
    assert status == 0, errors[-3000:]
    network = serialization.load_model(cwd / "runs" / "first" / "student.keras")
    pixels = (dataset.test.images / 255 - dataset.mean) / dataset.std
    logits = np.float64(network(pixels.astype("float32"), training=False))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lines = [line.split() for line in output.splitlines()]
    assert [name for name, _ in lines] == [dataset.class_names[row.argmax()] for row in shares]
    found = [float(share.rstrip("%")) for _, share in lines]
    np.testing.assert_allclose(found, 100 * shares.max(axis=1), atol=0.06)


@pytest.mark.slow
def test_a_format_written_again_leaves_the_others(cwd, shipped):
    flags = ("--model=runs/first/teacher.keras", "--formats=onnx")
    target = cwd / "runs" / "first" / "exported" / "teacher"
    other = serialization.load_model(cwd / "runs" / "first" / "student.keras")
    saved_model.export_saved_model(other, target)  # nothing there says which network it is
    for again in (flags, (*flags[:1], "--formats=litert", "--litert=float32", "--batch=2", "--nofold")):
        status, output, errors = call("export", *again, cwd=cwd)
        assert status == 0, errors[-3000:]
    assert "runs/first/exported/teacher" in output
    files = json.loads((target / "export.json").read_text())["files"]
    assert [(each["file"], each["batch"], each["folded"]) for each in files] == [
        ("saved_model.pb", None, True),
        ("model.tflite", 2, False),
        ("model.onnx", None, True),
    ]
    teacher = serialization.load_model(cwd / "runs" / "first" / "teacher.keras")
    dataset = datasets.load(str(cwd / "tiny.npz"))
    assert saved_model.measure_parity(target, teacher, dataset)["max_logit_difference"] < 1e-5
    card = (target / "README.md").read_text()
    assert "It takes 2 images at a time, BatchNorm as trained." in card
    assert "It takes any number of images at a time, BatchNorm folded into convolutions." in card
    assert (cwd / "runs" / "first" / "exported" / "student" / "model.onnx").is_file()


def test_a_network_that_was_trained_elsewhere_is_exported_with_images_of_its_classes(tmp_path):
    arrays = tiny_arrays(np.random.default_rng(0))
    write_folder(tmp_path / "photos", arrays)
    means = np.arange(4) * 50.0 + 20
    dense = keras.layers.Dense(4, activation="softmax")
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D(), dense]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    dense.set_weights([np.repeat(means[None] * 0.68, 3, axis=0), -0.004 * means**2])  # the nearest mean
    model.save(tmp_path / "any.keras")
    flags = ("--model=any.keras", "--images=photos", "--litert=float32,full_integer", "--out=out")
    status, output, errors = call("export", *flags, cwd=tmp_path)
    assert status == 0, errors
    assert errors == ""
    assert "any.keras: pixels are scaled as 'none' (right on 100.0%" in output
    folder = tmp_path / "out" / "any"
    manifest = json.loads((folder / "export.json").read_text())
    assert (manifest["accuracy"], manifest["test_images"]) == (1.0, 24)
    assert manifest["class_names"] == ["class0", "class1", "class2", "class3"]
    assert len(manifest["files"]) == 4
    card = (folder / "README.md").read_text()
    assert "Trained elsewhere: how, and on what, is not known to this package." in card
    tests = [f"photos/test/class{label}" for label in range(4)]
    for path in ("out/any", "out/any/model-full_integer.tflite", "out/any/model.onnx"):
        status, output, errors = call("predict", path, *tests, cwd=tmp_path)
        assert (status, errors) == (0, "")
        assert output.startswith("Right on 24 of 24 images (100.0%)")
    status, output, errors = call("predict", "any.keras", "--images=photos", *tests, cwd=tmp_path)
    assert (status, errors) == (0, "")
    assert "Right on 24 of 24 images (100.0%)" in output
    assert output.endswith("next: keras-kd export --model=any.keras --images=photos\n")
    status, _, errors = call("predict", "any.keras", *tests, cwd=tmp_path)
    assert status == 1
    assert "give images of the network's classes (images=FOLDER)" in error_line(errors)


@pytest.mark.slow
def test_networks_by_name_with_and_without_their_batch_norm(tmp_path):
    of_text = "cifar_resnet:8:width=4:shortcuts=none"
    flags = ("--cost", f"--networks=plain8,plain8-unfolded,{of_text}", "--calls=5", "--batches=1")
    status, output, errors = run_forked("experiments.export", *flags, cwd=tmp_path)
    assert status == 0, errors[-3000:]
    assert "plain8-unfolded" in output
    found = json.loads((tmp_path / "costs" / "costs.json").read_text())
    folded, unfolded, narrow = found["networks"]
    assert narrow["label"] == of_text
    assert 10 < folded["multiply_adds"] / narrow["multiply_adds"] < 16  # of 16 channels and of 4
    assert [folded["label"], unfolded["label"]] == ["plain8", "plain8-unfolded"]
    for same in ("parameters", "multiply_adds", "peak", "moments"):
        assert folded[same] == unfolded[same]
    kept = 4 * 4 * (3 * 16 + 2 * 32 + 2 * 64)  # gamma, beta, mean and variance of each channel, float32
    saved = unfolded["files"]["SavedModel"] - folded["files"]["SavedModel"]
    assert saved > kept / 2  # biases, in their place, take a quarter
    assert abs(unfolded["files"]["LiteRT"] / folded["files"]["LiteRT"] - 1) < 0.02
    assert found["machine"]["cores"] >= 1


def test_costs_are_measured_where_nothing_has_run_before(cwd):
    keras.ops.convert_to_tensor(1.0)
    status, _, errors = call("export", "--cost", "--networks=plain8", cwd=cwd)
    assert status == 1
    assert "measure costs in a process of its own" in error_line(errors)
    assert not (cwd / "costs").exists()


def test_batches_are_whole_numbers(cwd):
    flags = ("--cost", "--networks=resnet20", "--batches=1,0")
    status, _, errors = call("export", *flags, cwd=cwd)
    assert status == 1
    assert "takes whole numbers from 1, with commas between them" in errors
    assert "Traceback" not in errors
    assert not (cwd / "costs").exists()
