from keras_kd.data import datasets
from keras_kd.training import config, description


def test_a_dataset_is_named_as_it_is_found_from_every_folder_too(npz, monkeypatch):
    monkeypatch.chdir(npz.parent)
    for name in (npz.name, npz, "digits"):
        described = description.describe(datasets.load(name), config.Settings())["dataset"]
        assert described["name"] == str(name)
        assert described.get("absolute_name") == (str(npz) if name == npz.name else None)
