"""Fine-tuning: the new classifier learns alone, then all layers at a lower rate; also after a kill."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_kd.data import datasets
from keras_kd.models import heads
from keras_kd.training import config, fine_tune
from tests.support.arrays import tiny_arrays
from tests.support.commands import call
from tests.support.networks import one_block, same, weights_of

SETTINGS = config.Settings(
    epochs=4, batch_size=24, learning_rate=0.1, strategy="none", warmup_fraction=0.0, deterministic=True
)

pytestmark = pytest.mark.last  # operations stay deterministic


@pytest.fixture
def dataset(npz):
    return datasets.load(str(npz))


def network():
    return heads.with_new_classifier(one_block(seed=1), 4)


class Watch(keras.callbacks.Callback):
    """Keeps the weights after the last epoch and the rate of the first step; may be killed in an epoch."""

    def __init__(self, model, kill_in=None):
        super().__init__()
        self.network, self._kill_in = model, kill_in
        self.rates, self.kept = [], None
        self.own_name = f"own_{id(self)}"  # in the logs, of this part alone

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))

    def on_epoch_end(self, epoch, logs=None):
        logs[self.own_name] = 1.0

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._kill_in:
            raise KeyboardInterrupt

    def on_train_end(self, logs=None):
        self.kept = weights_of(self.network)


def test_the_classifier_learns_first_and_then_all_layers(dataset):
    model = network()
    begun = weights_of(model)
    first, second = Watch(model), Watch(model)
    trained = fine_tune(
        model,
        dataset,
        SETTINGS,
        frozen_epochs=2,
        unfrozen_rate=0.1,
        callbacks=[second],
        head_callbacks=[first],
    )
    assert same(first.kept[:-2], begun[:-2])  # statistics of BatchNorm, too
    assert not np.array_equal(first.kept[-2], begun[-2])
    assert not any(map(np.array_equal, second.kept, first.kept))
    assert max(first.rates) == pytest.approx(0.1, rel=0.1)
    assert max(second.rates) == pytest.approx(0.01, rel=0.1)
    assert {len(values) for values in trained.history.values()} == {4}
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["head_callbacks", "callbacks"])
def test_killed_in_either_part_it_ends_as_if_undisturbed(dataset, tmp_path, part):
    tf.config.experimental.enable_op_determinism()
    options = {"frozen_epochs": 2, "folder": tmp_path / "killed"}
    undisturbed, killed, again = network(), network(), network()
    expected = fine_tune(undisturbed, dataset, SETTINGS, frozen_epochs=2)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(killed, dataset, SETTINGS, **options, **{part: [Watch(killed, kill_in=1)]})
    found = fine_tune(again, dataset, SETTINGS, **options, **{part: [Watch(again)]})
    assert same(weights_of(again), weights_of(undisturbed))
    assert found.history == expected.history


def test_more_frozen_epochs_than_there_are_are_refused(dataset):
    with pytest.raises(ValueError, match="frozen_epochs must be a whole number from 1 to 4"):
        fine_tune(network(), dataset, SETTINGS, frozen_epochs=5)
    with pytest.raises(ValueError, match=r"unfrozen_rate must lie in \(0, 1\]"):
        fine_tune(network(), dataset, dataclasses.replace(SETTINGS), unfrozen_rate=2, frozen_epochs=1)


SMALL = ("--dataset=tiny.npz", "--epochs=3", "--batch_size=24", "--strategy=none", "--snapshots=0")


@pytest.mark.slow
def test_a_network_in_a_file_learns_other_classes_by_flags(tmp_path):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(np.random.default_rng(0), classes=3))
    one_block(seed=1).save(tmp_path / "four.keras")
    tuned = ("--init=four.keras", "--freeze=backbone", "--freeze_epochs=2", "--out=run")
    status, _, errors = call("train", *SMALL, *tuned, cwd=tmp_path)
    assert status == 0, errors
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert model.output_shape == (None, 3)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert len(re.findall("head", log)) == 2
    text = (tmp_path / "run" / "flags.cfg").read_text()
    assert "--init=four.keras" in text
    assert "student_depth" not in text
    status, again, errors = call("train", "--flagfile=run/flags.cfg", "--out=run", cwd=tmp_path)
    assert status == 0, errors
    assert "run is finished" in again


BAD = {
    "freeze alone": (["--freeze=backbone"], "--freeze belongs to --init: give that too"),
    "epochs alone": (["--init=a.keras", "--freeze_epochs=1"], "--freeze_epochs belongs to --freeze"),
    "rate alone": (["--init=a.keras", "--freeze=none", "--unfreeze_rate=0.1"], "belongs to --freeze"),
    "twice": (["--init=a.keras", "--student_width=8"], "--init and --student_width both say"),
    "too long": (["--init=a.keras", "--freeze=backbone", "--freeze_epochs=4"], "at most the 3 epochs"),
    "no file": (["--init=a.keras"], "there is no file 'a.keras'"),
    "untrained": (["--init=applications:MobileNetV2"], "--init=applications:MobileNetV2: it is not trained"),
    "no such network": (["--init=mobilenet"], "--init=mobilenet: unknown network"),
    "other images": (["--init=grey.keras"], r"must take images of shape \(8, 8, 3\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_go_together_is_told_in_one_line(case, npz, tmp_path):
    bad, message = BAD[case]
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]).save(
        tmp_path / "grey.keras"
    )
    status, _, errors = call("train", *SMALL, f"--dataset={npz}", "--out=run", *bad, cwd=tmp_path)
    assert status == 1
    assert re.search(message, errors), errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()
