import keras
import numpy as np
import pytest

from keras_kd.data import datasets, lazy_images, py_datasets, sampling
from keras_kd.data.training_data import TrainingData
from tests.support.image_folders import in_memory, write_folder


@pytest.fixture
def data(tmp_path):
    dataset = datasets.load(write_folder(tmp_path / "photos"))
    return TrainingData(dataset, sampling.batch_schedule(dataset, 10, seed=3))


def expected(data, epoch):
    """float32 `[steps, batch, 8, 8, 3]`, from arrays."""
    schedule, dataset = data.schedule, in_memory(data.dataset)
    index, params = schedule.epoch(epoch)
    return [
        keras.ops.convert_to_numpy(
            schedule.augmentation.apply(
                dataset.train.images[index[step]],
                {field: values[step] for field, values in params.items()},
                dataset.mean,
                dataset.std,
            )
        )
        for step in range(schedule.steps)
    ]


def test_batches_of_a_folder_are_those_of_arrays(data):
    batches = py_datasets.TrainingBatches(data)
    for epoch in (1, 0):
        batches.go_to(epoch)
        for step, images in enumerate(expected(data, epoch)):
            found, labels = batches[step]
            np.testing.assert_array_equal(found, images)
            np.testing.assert_array_equal(
                labels, data.dataset.train.labels[data.schedule.epoch(epoch).index[step]]
            )


def test_validation_is_seen_once_in_order(data):
    batches = py_datasets.ValidationBatches(data, batch_size=3)
    dataset = in_memory(data.dataset)
    found, labels = zip(*(batches[step] for step in range(len(batches))), strict=True)
    np.testing.assert_allclose(
        np.concatenate(found), (dataset.validation.images / 255 - dataset.mean) / dataset.std, atol=1e-5
    )
    np.testing.assert_array_equal(np.concatenate(labels), dataset.validation.labels)


def test_fewer_validation_examples_at_a_time_where_they_are_large(data, monkeypatch):
    assert len(py_datasets.ValidationBatches(data)) == 1
    monkeypatch.setattr(lazy_images, "PIXELS_AT_ONCE", 3 * 4 * 8 * 8 * 3)
    assert [len(labels) for _, labels in py_datasets.ValidationBatches(data)] == [3, 3, 2]


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="there `fit` reads tf.data")
def test_fit_sees_each_epoch_as_planned_though_batches_are_made_ahead(data):
    seen = []

    class Watching(py_datasets.TrainingBatches):
        def __getitem__(self, step):
            images, _ = super().__getitem__(step)
            return images, images.mean(axis=(1, 2, 3))

    class Mean(keras.Model):
        def train_step(self, state, data):
            seen.append(np.asarray(data[1]))
            return {"loss": 0.0}, state

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model = Mean(model.inputs, model.outputs)
    model.compile(run_eagerly=True, optimizer="sgd", loss="mse")
    batches = Watching(data)
    go_to = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.go_to(epoch))
    model.fit(batches, epochs=3, initial_epoch=1, shuffle=False, verbose=0, callbacks=[go_to])
    planned = [images.mean(axis=(1, 2, 3)) for epoch in (1, 2) for images in expected(data, epoch)]
    np.testing.assert_allclose(seen[-len(planned) :], planned, rtol=1e-5)
