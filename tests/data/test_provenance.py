"""A run's data are found again, also those of versions that split by the training's seed."""

import json

import pytest

from keras_kd.data import datasets, provenance
from tests.support.image_folders import write_folder


def result_of(dataset, seed, **changes):
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    described = {
        "name": dataset.name,
        "absolute_name": dataset.absolute_name,
        "fingerprint": dataset.fingerprint,
        "split_seed": dataset.split_seed,
        "examples": {name: len(split.labels) for name, split in splits.items()},
    } | changes
    described = {name: value for name, value in described.items() if value is not None}
    return {"seed": seed, "dataset": described}


def earlier_result_of(dataset, seed):
    return result_of(dataset, seed, split_seed=None, fingerprint=dataset.examples_fingerprint)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "flags.cfg").write_text("--validation_fraction=0.1\n")
    return tmp_path


def test_the_split_is_that_of_the_result_whatever_the_seed(npz, folder):
    dataset = datasets.load(npz, seed=5)
    found = provenance.load_dataset(folder, result_of(dataset, seed=2), 2)
    assert found.fingerprint == dataset.fingerprint


def test_an_earlier_run_was_split_by_its_seed(npz, folder):
    dataset = datasets.load(npz, seed=2)
    found = provenance.load_dataset(folder, earlier_result_of(dataset, 2), 2)
    assert found.fingerprint == dataset.fingerprint


def test_an_earlier_study_was_split_by_each_seed(npz, folder):
    result = earlier_result_of(datasets.load(npz, seed=0), 0) | {"seeds": [0, 1]}
    found = provenance.load_dataset(folder, result, 1)
    assert found.fingerprint == datasets.load(npz, seed=1).fingerprint


def test_other_data_are_refused(npz, folder):
    result = result_of(datasets.load(npz), 0, fingerprint="0" * 16)
    with pytest.raises(ValueError, match="is not the one of"):
        provenance.load_dataset(folder, result, 0)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The result of a run that saw the image folder `alpha`, one goes on from another folder."""
    for name in ("here", "there", "there/run"):
        (tmp_path / name).mkdir()
    write_folder(tmp_path / "there" / "alpha")
    monkeypatch.chdir(tmp_path / "there")
    result = result_of(datasets.load("./alpha:16"), 0)
    monkeypatch.chdir(tmp_path / "here")
    return result


def test_a_dataset_is_found_from_every_folder(run):
    found = provenance.load_dataset("../there/run", run, 0)
    assert (found.fingerprint, found.name) == (run["dataset"]["fingerprint"], "./alpha:16")


def test_a_dataset_that_moved_with_its_run_is_found_by_the_name_that_was_typed(run, tmp_path, monkeypatch):
    monkeypatch.chdir((tmp_path / "there").rename(tmp_path / "elsewhere"))
    assert provenance.load_dataset("run", run, 0).fingerprint == run["dataset"]["fingerprint"]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_dataset_that_is_gone_is_named_with_its_run_and_the_flag(run, tmp_path, is_known):
    (tmp_path / "there" / "alpha").rename(tmp_path / "there" / "photos")
    if not is_known:
        del run["dataset"]["absolute_name"]
    place = f"{tmp_path}/there/alpha:16" if is_known else "./alpha:16"
    with pytest.raises(ValueError, match=f"dataset of ../there/run is not found .*'{place}'.*--dataset"):
        provenance.load_dataset("../there/run", run, 0)


def test_another_name_changes_nothing_though_flips_are_guessed_from_it(run, tmp_path):
    moved = (tmp_path / "there" / "alpha").rename(tmp_path / "there" / "photos")
    assert datasets.load(f"{moved}:16").flips
    found = provenance.load_dataset("../there/run", run, 0, f"{moved}:16")
    assert (found.fingerprint, found.flips) == (run["dataset"]["fingerprint"], False)


@pytest.mark.parametrize("cache", [None, "memory", "none", "disk"])
def test_data_of_tensorflow_datasets_are_read_as_the_run_read_them(tiny_pictures, folder, cache):
    records = folder / "records"
    tiny_pictures[1](data_dir=records, file_format="array_record").download_and_prepare()
    asked = {"data_dir": records, "cache": cache}
    dataset = datasets.load("tiny_squares", cache_dir=folder / "cache", **asked)
    (folder / "flags.cfg").write_text(
        "".join(f"--{name}={value}\n" for name, value in asked.items() if value is not None)
    )
    result = result_of(dataset, 0)
    assert provenance.load_dataset(folder, result, 0).fingerprint == dataset.fingerprint
    moved = records.rename(folder / "moved")
    assert provenance.load_dataset(folder, result, 0, data_dir=moved).fingerprint == dataset.fingerprint


def test_a_study_may_have_no_flags(npz, folder):
    dataset = datasets.load(npz, validation_fraction=0.2)
    (folder / "flags.cfg").unlink()
    (folder / "study.json").write_text(json.dumps({"identity": {"validation_fraction": 0.2}}))
    found = provenance.load_dataset(folder, result_of(dataset, 0), 0)
    assert found.fingerprint == dataset.fingerprint


def test_a_teacher_that_may_have_seen_the_validation_images_is_told(npz, folder):
    teacher = folder / "teacher.keras"
    dataset = datasets.load(npz)
    assert provenance.split_remark(teacher, dataset) is None
    for result, told in (
        (result_of(dataset, 7), False),
        (earlier_result_of(dataset, 0), False),
        (result_of(datasets.load(npz, seed=3), 0), True),
        (earlier_result_of(datasets.load(npz, seed=3), 3), True),
        (result_of(datasets.load("digits", seed=3), 0), False),
        (result_of(dataset, 0, fingerprint="0" * 16), False),  # of the same part, read by index
        ({"dataset": []}, False),
    ):
        (folder / "result.json").write_text(json.dumps(result))
        assert ("split_seed=3" in (provenance.split_remark(teacher, dataset) or "")) == told
