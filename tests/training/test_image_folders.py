"""Trainings on an image folder are those on the same images in memory."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets, sampling
from keras_kd.data.lazy_images import BadImageError
from keras_kd.distillation import teacher_cache
from keras_kd.training import config, evaluation, trainer
from tests.support.image_folders import in_memory, write_folder
from tests.support.networks import weights_of
from tests.support.stops import StopBefore

SETTINGS = config.Settings(epochs=2, batch_size=24, learning_rate=0.05, strategy="none", images="auto")


@pytest.fixture
def dataset(tmp_path):
    return datasets.load(write_folder(tmp_path / "photos"), cache="disk", cache_dir=tmp_path / "cache")


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)


def trained(dataset, folder, last=None):
    model = network()
    options = {"folder": folder, "label": "n", "callbacks": [StopBefore(last)]}
    history = trainer.train(model, dataset, SETTINGS, **options).history
    return model, history


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_what_arrays_give(dataset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(dataset, tmp_path / "stopped", last=1)
    model, history = trained(dataset, tmp_path / "stopped")
    other, expected = trained(in_memory(dataset), tmp_path / "whole")
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for weight, values in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_allclose(weight, values, rtol=1e-5, atol=1e-6)
    assert evaluation.evaluate(model, dataset) == evaluation.evaluate(model, in_memory(dataset))


@pytest.mark.slow
def test_kept_logits_are_the_live_teacher(dataset, tmp_path):
    teacher = network(seed=1)
    schedule = sampling.batch_schedule(dataset, SETTINGS.batch_size, views=2)
    kept = teacher_cache.cache_logits(teacher, dataset, schedule, tmp_path / "logits", dtype="float32")
    live, from_disk = (
        trainer.distill(teacher, network(seed=2), dataset, SETTINGS, teacher_logits=logits).history
        for logits in (None, kept)
    )
    for name, values in live.items():
        np.testing.assert_allclose(from_disk[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("split", ["train", pytest.param("validation", marks=pytest.mark.slow)])
def test_a_bad_image_ends_the_training_in_one_line(tmp_path, split):
    folder = write_folder(tmp_path / "photos")
    dataset = datasets.load(folder)
    images = getattr(dataset, split).images
    path = images.source.path(images.index[-1])
    dataset.mean  # of images that were whole  # noqa: B018
    with open(path, "wb") as file:
        file.write(b"no image")
    with pytest.raises(BadImageError, match=r"\.png is no JPEG") as raised:
        trainer.train(network(), dataset, SETTINGS)
    assert str(raised.value).startswith(path)
