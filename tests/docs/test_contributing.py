"""The examples of CONTRIBUTING.md do what they say."""

import keras
import numpy as np
import pytest

from keras_kd import losses, models
from keras_kd.data import augmentation
from tests.support import snippets
from tests.support.processes import ROOT

EXAMPLES = dict(
    zip(
        ("loss", "augmentation", "data", "architecture"),
        (code for _, code in snippets.blocks(ROOT / "CONTRIBUTING.md", "python")),
        strict=True,
    )
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that runs an example and returns its names; tables of names are given back."""
    monkeypatch.chdir(tmp_path)
    for module, table in (
        (losses, "NAMES"),
        (augmentation, "AUGMENTATIONS"),
        (models.registry, "BUILDERS"),
    ):
        monkeypatch.setattr(module, table, dict(getattr(module, table)))

    def executed(example):
        names = {}
        exec(compile(EXAMPLES[example], "CONTRIBUTING.md", "exec"), names)
        return names

    return executed


@pytest.mark.slow
def test_the_loss_compares_means_of_channels(run):
    found = run("loss")
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 3, 4, 4, 5))
    by_hand = ((teacher.mean(axis=(1, 2)) - student.mean(axis=(1, 2))) ** 2).sum(axis=-1)
    term = found["ChannelMeans"]()
    np.testing.assert_allclose(term.compare(teacher, student), by_hand, rtol=1e-5)
    assert losses.NAMES["channel_means"] is found["ChannelMeans"]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(term))
    assert isinstance(again, found["ChannelMeans"])


def test_the_augmentation_inverts(run):
    found = run("augmentation")
    np.testing.assert_array_equal(found["white"], np.ones((2, 8, 8, 1)))
    assert augmentation.parse("invert").spec == "invert"
    assert found["Invert"](0.0).sample(np.random.default_rng(0), 5, (8, 8, 1))["inverted"].sum() == 0


def test_the_data_source_reads_a_folder(run, tmp_path):
    dataset = run("data")["dataset"]
    assert (dataset.class_names, dataset.image_shape) == (("cat", "dog"), (8, 8, 3))
    assert sum(len(getattr(dataset, split).labels) for split in ("train", "validation", "test")) == 80
    cats = np.load(tmp_path / "cat.npy")
    first = dataset.train.images[dataset.train.labels == 0][0]
    assert (cats == first).all(axis=(1, 2, 3)).any()


def test_the_architecture_is_found_by_its_text(run):
    network = run("architecture")["network"]
    assert network.output_shape == (None, 10)
    # Kernels of 9 * (1 * 8 + 8 * 8 + 8 * 16 + 16 * 16), 48 biases, 2 * 48 of BatchNorm, 16 * 10 + 10.
    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert trained == 9 * 456 + 48 + 96 + 170
    with pytest.raises(ValueError, match="vgg has no option 'depth'"):
        models.build("vgg:2:depth=3", (8, 8, 1), 10)
