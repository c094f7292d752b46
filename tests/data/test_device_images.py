import dataclasses

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import augmentation, datasets, device_images, sampling
from keras_kd.data.training_data import TrainingData
from keras_kd.distillation import teacher_cache
from keras_kd.training import config, evaluation, inputs, trainer
from tests.support.arrays import tiny_arrays
from tests.support.networks import weights_of
from tests.support.stops import StopBefore

SETTINGS = config.Settings(epochs=2, batch_size=24, learning_rate=0.1, strategy="none", images="device")
OPTIONS = {"augmentation": "crop_flip+color_jitter+cutmix", "ema": 0.5, "label_smoothing": 0.1}
AUGMENTED = dataclasses.replace(SETTINGS, **OPTIONS)


@pytest.fixture
def dataset(tmp_path, rng):
    np.savez(tmp_path / "data.npz", **tiny_arrays(rng))
    return datasets.load(tmp_path / "data.npz")


def network(seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, **kwargs)


def test_indices_become_the_images_that_the_schedule_shows(dataset):
    schedule = sampling.batch_schedule(dataset, 8, seed=2)
    data = TrainingData(dataset, schedule, on_device=True)
    images = device_images.DeviceImages(dataset, schedule.augmentation)
    index, params = schedule.epoch(1)
    params = {field: values[3] for field, values in params.items()}
    found = images({device_images.INDEX: index[3], **params})
    expected = schedule.augmentation.apply(dataset.train.images[index[3]], params, dataset.mean, dataset.std)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(expected), atol=1e-6
    )
    clean = images(device_images.validation_inputs(data, 2, 5))
    expected = augmentation.normalise(dataset.validation.images[2:5], dataset.mean, dataset.std)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(clean), keras.ops.convert_to_numpy(expected), atol=1e-6
    )


def test_a_network_learns_and_keeps_no_images(dataset):
    model = network()
    count = len(model.weights)
    history = trainer.train(model, dataset, dataclasses.replace(SETTINGS, epochs=12)).history
    assert history["val_accuracy"][-1] > 0.8
    assert evaluation.evaluate(model, dataset)["accuracy"] > 0.8
    assert len(model.weights) == count
    assert not model.losses


def distilled(dataset, folder, last):
    student = network(seed=2, shortcuts=False)
    callbacks = [StopBefore(last)]
    trained = trainer.distill(
        network(seed=1), student, dataset, AUGMENTED, folder=folder, label="s", callbacks=callbacks
    )
    return trained.history, weights_of(student)


def test_a_run_goes_on_where_it_ended(dataset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        distilled(dataset, tmp_path / "killed", 1)
    history, weights = distilled(dataset, tmp_path / "killed", None)
    expected_history, expected = distilled(dataset, tmp_path / "whole", None)
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)


def test_kept_logits_are_the_live_teacher_here_too(dataset, tmp_path):
    teacher = network(seed=1)
    plan = inputs.batch_schedule(dataset, AUGMENTED, views=2)
    kept = teacher_cache.cache_logits(teacher, dataset, plan, tmp_path, dtype="float32")
    settings = dataclasses.replace(AUGMENTED, learning_rate=0.01)
    live, from_disk = (
        trainer.distill(teacher, network(seed=2), dataset, settings, teacher_logits=logits).history
        for logits in (None, kept)
    )
    assert live.keys() == from_disk.keys()
    for name, values in live.items():
        np.testing.assert_allclose(from_disk[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
