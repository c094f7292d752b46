import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets, lazy_images, tf_pipeline
from keras_kd.training import config, evaluation, inputs
from keras_kd.training.distributed import validation
from tests.support.arrays import tiny_arrays


def measured(model, dataset, batch_size):
    callback = validation.Validation(inputs.training_data(dataset, config.Settings()), batch_size)
    callback.set_model(model)
    callback.on_train_begin()
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs.pop("loss") == 1.0
    return logs


@pytest.fixture
def dataset(tmp_path, rng):
    np.savez(tmp_path / "data.npz", **tiny_arrays(rng, train=210))
    return datasets.load(tmp_path / "data.npz")


@pytest.mark.parametrize("batch_size", [1, 4, 20, 21, 100])
def test_every_example_counts_once(dataset, batch_size):
    assert len(dataset.validation.labels) == 21
    teacher, student = (keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4) for _ in range(2))
    distiller = keras_kd.Distiller(teacher, student, alpha=0.25)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile("sgd", loss, metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")])
    logs = measured(distiller, dataset, batch_size)
    expected = evaluation.evaluate(student, dataset, "validation", teacher=teacher)
    assert logs["val_accuracy"] == pytest.approx(expected["accuracy"])
    assert logs["val_agreement"] == pytest.approx(expected["agreement"])
    assert logs["val_hard_loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert logs["val_loss"] == pytest.approx(
        0.75 * logs["val_hard_loss"] + 0.25 * logs["val_soft_loss"], rel=1e-5
    )


def test_fewer_large_examples_are_measured_at_a_time(dataset, monkeypatch):
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    small, parts, examples = measured(model, dataset, None), [], tf_pipeline.validation_examples

    def watched(data, start, stop):
        parts.append((start, stop))
        return examples(data, start, stop)

    monkeypatch.setattr(tf_pipeline, "validation_examples", watched)
    monkeypatch.setattr(lazy_images, "PIXELS_AT_ONCE", 8 * 4 * 8 * 8 * 3)
    large = measured(model, dataset, None)
    assert parts == [(0, 7), (7, 14), (14, 21)]
    assert large == pytest.approx(small, rel=1e-5)


def test_measuring_changes_no_weight(dataset):
    model = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [np.array(weight) for weight in model.get_weights()]
    measured(model, dataset, 8)
    assert all(map(np.array_equal, before, model.get_weights()))
