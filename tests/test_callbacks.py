import math

import keras
import pytest

from keras_kd import callbacks


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_at_once(loss):
    guard = callbacks.StopOnDivergence("net", every=5)
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(4, {"loss": loss})  # not a batch that is looked at
    with pytest.raises(callbacks.TrainingDivergedError, match=r"'net' is -?(nan|inf) in epoch 3 \(batch 6\)"):
        guard.on_train_batch_end(5, {"loss": loss})
    with pytest.raises(callbacks.TrainingDivergedError, match=r"epoch 3 \(its end\)"):
        guard.on_epoch_end(2, {"loss": loss})


def test_a_finite_loss_goes_on():
    guard = callbacks.StopOnDivergence("net")
    guard.on_train_batch_end(0, {"loss": 1e30})
    guard.on_epoch_end(0, {"loss": -3.0})
    guard.on_epoch_end(0, {})


def test_the_bar_can_be_stopped_before_it_started_and_twice():
    bar = callbacks.ProgressBar("net")
    bar.stop()
    bar.set_params({"epochs": 2, "steps": 3})
    bar.on_train_begin()
    for epoch in range(2):
        for batch in range(3):
            bar.on_train_batch_end(batch)
        bar.on_epoch_end(epoch, {"val_accuracy": 0.5})
    assert bar.completed == 2
    bar.on_train_end()
    bar.stop()


def test_the_log_appends_sorted_numbers(tmp_path):
    log = callbacks.EpochLog(tmp_path / "new" / "log.txt", "net")
    log.set_params({"epochs": 2})
    for epoch in range(2):
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {"loss": 1 / 3, "accuracy": 0.5})
    lines = (tmp_path / "new" / "log.txt").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["1/2", "2/2"]
    assert lines[0].endswith("accuracy=0.5 loss=0.33333")


def test_settings_are_logged_before_the_loggers_see_them():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    logger = callbacks.LogSettings()
    logger.set_model(model)
    logs = {"loss": 1.0}
    logger.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "learning_rate": 0.25}


def test_checkpoints_are_written_first_last_and_after_a_while(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(callbacks.storage, "save_model", lambda model, path: saved.append(now[0]))
    checkpoint = callbacks.Checkpoint(tmp_path / "net.keras", network=None, seconds=10)
    checkpoint.set_params({"epochs": 6})
    for epoch, moment in enumerate((1, 6, 10.9, 11, 12, 13)):
        now[0] = moment
        checkpoint.on_epoch_end(epoch)
    assert saved == [1, 11, 13]
