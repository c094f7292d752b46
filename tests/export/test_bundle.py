"""What a model card says of a network's training."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.export import bundle, file_table, formats, given, licences, model_card, parity, sources
from keras_kd.export.manifest import Manifest
from keras_kd.models import weights
from keras_kd.reporting import formatting
from keras_kd.utils import files
from tests.support.image_folders import write_image

RESULT = {
    "settings": {"epochs": 3},
    "versions": {"keras": "3"},
    "temperature": 4.0,
    "alpha": 0.9,
    "shortcut_removal": "fade+merge:fade_end=0.6",
}


@pytest.mark.parametrize(
    ("name", "is_distilled", "lost_shortcuts"),
    [
        ("student_fade_merge", True, True),
        ("student", True, False),
        ("student_alone", False, False),
        ("teacher", False, False),
        ("model", False, True),
    ],
)
def test_a_card_tells_the_teacher_and_how_shortcuts_were_lost(name, is_distilled, lost_shortcuts, tmp_path):
    source = sources.Source(tmp_path / f"{name}.keras", name, None, None, RESULT)
    lines = model_card.recipe(source)
    assert (lines[0], lines[-1]) == ("epochs 3", "Trained with keras 3.")
    told = " ".join(lines)
    assert ("Distilled from a teacher, temperature 4.0, alpha 0.9" in told) == is_distilled
    assert ("Its shortcuts were removed in training: fade+merge:fade_end=0.6." in told) == lost_shortcuts


def test_a_run_of_before_shortcut_removal_has_its_card(tmp_path):
    older = {key: value for key, value in RESULT.items() if key != "shortcut_removal"}
    lines = model_card.recipe(sources.Source(tmp_path / "student.keras", "a", None, None, older))
    assert len(lines) == 3


@pytest.mark.parametrize(("seconds", "is_given"), [(None, True), (3.5, False)])
def test_a_teacher_that_was_given_has_not_the_recipe_of_the_run(seconds, is_given, tmp_path):
    networks = {"teacher": {"accuracy": 0.5, "seconds": seconds}, "student_distilled": {"seconds": 2.0}}
    result = RESULT | {"networks": networks}
    told = {
        name: model_card.recipe(sources.Source(tmp_path / f"{name}.keras", name, None, None, result))
        for name in ("teacher", "student")
    }
    before = ["Trained before this run: how, and on what, is not known to it. The data above measured it."]
    assert told["teacher"] == (before if is_given else ["epochs 3", "Trained with keras 3."])
    assert told["student"][0] == "epochs 3"


@pytest.mark.parametrize(
    "wrong", [{"networks": [3]}, {"settings": None}, {"versions": 3}, {"shortcut_removal": []}]
)
def test_a_result_that_does_not_say_how_it_was_trained_is_named(wrong, tmp_path):
    source = sources.Source(tmp_path / "student.keras", "a", None, None, RESULT | wrong)
    with pytest.raises(files.DamagedFileError, match=r"result\.json is damaged \(it does not say what it"):
        model_card.recipe(source)


def test_a_run_is_the_same_by_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    linked, real = (
        sources.Source(tmp_path / name / "model.keras", "a", None, None, RESULT) for name in ("link", "run")
    )
    assert sources.is_run(linked, sources.run_of(real))
    assert sources.is_run(real, sources.run_of(linked))
    assert not sources.is_run(real, str(tmp_path))


def test_a_card_tells_all_outputs_of_the_network(npz, tmp_path):
    dataset = datasets.load(npz)
    about = {"name": "tiny", "fingerprint": dataset.fingerprint, "examples": {"test": 24}}
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(6)])
    source = sources.Source(tmp_path / "model.keras", "a", network, dataset, RESULT | {"dataset": about})
    found = Manifest("model.keras", weights.digest(network), ())
    files.write_json(found.to_json(), tmp_path / "export.json")
    model_card.write(source, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "An image classifier for tiny: 6 classes, images of 8 x 8 x 3." in card
    assert "Classes, in the order of the outputs: 0, 1, 2, 3, class 4, class 5." in card
    assert "float32 `[n, 6]`" in card


def test_a_card_asks_for_the_licence_of_the_data_where_they_were_found(npz, tmp_path):
    """Not of what is called so in the present folder, or nowhere."""
    place = tmp_path / "mnist" / "png"
    place.mkdir(parents=True)
    dataset = dataclasses.replace(datasets.load(npz), name="mnist/png", absolute_name=str(place))
    about = {"name": dataset.name, "fingerprint": dataset.fingerprint, "examples": {"test": 24}}
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    source = sources.Source(tmp_path / "model.keras", "a", network, dataset, RESULT | {"dataset": about})
    files.write_json(Manifest("model.keras", weights.digest(network), ()).to_json(), tmp_path / "export.json")
    model_card.write(source, tmp_path)
    assert "That of mnist/png is not known to this package" in (tmp_path / "README.md").read_text()


def manifest_of(change, images, size=19_300):
    found = parity.Parity(0.0, 1.0, change, images)
    file = formats.ExportedFile("model.onnx", "onnx", "float32", None, True, size, found)
    return Manifest("a/b.keras", "0", (file,), accuracy=0.75, test_images=400)


def test_the_table_has_one_accuracy_on_all_test_images():
    first, row = file_table.rows(manifest_of(-0.0025, 400))
    assert first == ["the Keras model", "", "", "", "75.0 %", "", "400"]
    assert row == ["model.onnx", "19.3 kB", "0 %", "100.0 %", "74.8 %", "-0.25", "400"]
    assert file_table.rows(manifest_of(0.01, 100))[1][4:] == ["n/a", "+1", "100"]


def test_what_is_small_is_not_told_as_nothing():
    assert formatting.share_of_all(0.9999) == "> 99.9 %"
    assert formatting.share_of_all(1.0) == "100.0 %"
    assert formatting.small_points(0.0001) == "+0.01"
    assert [formatting.in_bytes(size) for size in (12, 1000, 704_321, 25e6)] == [
        "12 bytes",
        "1 kB",
        "704 kB",
        "25 MB",
    ]
    assert (file_table.difference(1.4e-6), file_table.difference(0.0789)) == ("1.4e-06", "7.9 %")


def given_source(folder, names=("cat", "dog"), preprocessing="unit", fingerprint="0", seed=0):
    """A network that was trained elsewhere, with images of its classes, as `given.find_source` makes it."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    split = datasets.Split(images, np.arange(8) % 2)
    dataset = given.GivenImages("pets", split, split, split, names, flips=False, preprocessing=preprocessing)
    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    about = {"name": "pets", "fingerprint": fingerprint, "examples": {"test": 8}}
    return sources.Source(
        folder / "net.keras", "net", network, dataset, {"dataset": about, "preprocessing": preprocessing}
    )


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"names": ("crow", "eagle")},
        {"preprocessing": "minus_one_one"},
        {"fingerprint": "1"},
        {"seed": 1},
    ],
    ids=str,
)
def test_files_stay_that_are_of_the_same_network_images_and_classes(other, tmp_path, capsys):
    one = {"images": 8, "same_class": 0.0}
    target = tmp_path / "exported" / "net"
    litert = bundle.BundleConfig(("litert",), ("float32",), **one)
    onnx = bundle.BundleConfig(("onnx",), **one)
    bundle.export_bundle(given_source(tmp_path), target, litert)
    capsys.readouterr()
    found = bundle.export_bundle(given_source(tmp_path, **other), target, onnx)
    stays = not other
    assert [each.file for each in found.files] == ["model.tflite"] * stays + ["model.onnx"]
    assert (target / "model.tflite").is_file() == stays
    assert ("model.tflite" in (target / model_card.CARD).read_text()) == stays
    told = f"{target}: model.tflite is of another network, or of other images, classes or scales of pixels"
    assert (told in capsys.readouterr().out) != stays


@pytest.mark.parametrize("is_of_run", [True, False])
def test_files_of_a_folder_without_an_identity_stay_if_they_are_of_the_run(is_of_run, tmp_path):
    source = given_source(tmp_path)
    if is_of_run:
        del source.result["preprocessing"]
    target, file = tmp_path / "net", manifest_of(0.0, 8).files[0]
    files.write_text("a network", target / file.file)
    file = dataclasses.replace(file, sha256=formats.sha256_of(target, file.file))
    about = Manifest("net.keras", weights.digest(source.network), (file,))
    files.write_json(about.to_json(), target / "export.json")
    assert bundle.begin(target, tmp_path / "part", source) == [file] * is_of_run
    assert (tmp_path / "part" / file.file).exists() == is_of_run


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_not_of_an_export_stays_whatever_is_exported(seed, tmp_path):
    target, part, source = tmp_path / "net", tmp_path / "part", given_source(tmp_path)
    of_export = (
        "model.onnx",
        "model-float16.tflite",
        "saved_model.pb",
        "variables/a",
        "README.md",
        "costs.html",
    )
    own = ("labels.txt", "model-mine.tflite", "app/main.py", "app/model.onnx")
    for name in (*of_export, *own):
        files.write_text(name, target / name)
    (target / "link").symlink_to("labels.txt")
    identity = sources.identity(source)
    about = dataclasses.replace(manifest_of(0.0, 8), files=(), run=str(tmp_path), identity=identity)
    files.write_json(about.to_json(), target / "export.json")
    bundle.begin(target, part, given_source(tmp_path, seed=seed))
    found = {str(path.relative_to(part)) for path in part.rglob("*") if path.is_file()}
    assert found == {*own, "link", *(() if seed else (*of_export, "export.json"))}
    assert (part / "link").is_symlink()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "net holds a SavedModel that export did not write: choose another folder"),
        ({"author": "somebody"}, "net holds a SavedModel that export did not write"),
        ({"normalisation": None, "run": "/runs/other"}, "net holds the files of another run, /runs/other"),
        ({"normalisation": None}, None),
        ({"normalisation": None, "run": "."}, None),
    ],
)
def test_a_saved_model_is_replaced_only_if_it_was_exported(metadata, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_text("a graph", tmp_path / "net" / "saved_model.pb")
    if metadata is not None:
        files.write_json(metadata, tmp_path / "net" / "metadata.json")
    if message is None:
        bundle.check_target(tmp_path / "net", given_source(tmp_path))
        return
    with pytest.raises(FileExistsError, match=message):
        bundle.check_target(tmp_path / "net", given_source(tmp_path))


@pytest.mark.parametrize("name", ["a [1]", "a*", "what?"])
def test_a_path_that_tensorflow_reads_as_a_pattern_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="takes the path of a SavedModel for a pattern"):
        bundle.check_target(tmp_path / name / "net", given_source(tmp_path))


def test_licences_are_known_by_a_datasets_name():
    assert licences.licence_of("mnist") == "Creative Commons Attribution-ShareAlike 3.0"
    assert licences.licence_of("fashion_mnist:28").startswith("MIT")
    assert licences.licence_of("my/mnist.npz") is None


def test_a_folder_that_is_called_like_a_dataset_has_not_its_licence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert licences.licence_of("beans:16") == "MIT"
    assert licences.licence_of("digits").startswith("Creative Commons Attribution 4.0")
    for label in ("cat", "dog"):
        write_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "beans" / label / "a.png")
    for name in ("beans", "beans:16", "./beans:16", str(tmp_path / "beans")):
        assert licences.licence_of(name) is None
