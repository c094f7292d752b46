import concurrent.futures
import math
import os
import signal

import keras
import pytest

from keras_kd.distillation.alarms import DistillationAlarms
from keras_kd.models.weights import weights_of
from keras_kd.training import callbacks, snapshots
from tests.support.networks import mlp, sparse_ce


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_at_once(loss):
    guard = callbacks.StopOnDivergence("net", every=5)
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(0, {"loss": 1.0})
    guard.on_train_batch_end(4, {"loss": loss})  # not a batch that is looked at
    with pytest.raises(callbacks.TrainingDivergedError, match=r"'net' is -?(nan|inf) in epoch 3 \(batch 6\)"):
        guard.on_train_batch_end(5, {"loss": loss})
    with pytest.raises(callbacks.TrainingDivergedError, match=r"epoch 3 \(its end\)"):
        guard.on_epoch_end(2, {"loss": loss})


def test_a_loss_is_looked_at_though_keras_takes_several_steps_at_once():
    guard = callbacks.StopOnDivergence("net", every=5)
    guard.on_epoch_begin(0)
    for batch in (2, 8, 11):
        guard.on_train_batch_end(batch, {"loss": 1.0})
    with pytest.raises(callbacks.TrainingDivergedError, match=r"\(batch 18\)"):
        guard.on_train_batch_end(17, {"loss": float("nan")})


def test_a_finite_loss_goes_on():
    guard = callbacks.StopOnDivergence("net")
    guard.on_train_batch_end(0, {"loss": 1e30})
    guard.on_epoch_end(0, {"loss": -3.0})
    guard.on_epoch_end(0, {})


def test_the_bar_can_be_stopped_before_it_started_and_twice():
    bar = callbacks.ProgressBar("net")
    bar.stop()
    bar.set_params({"epochs": 2, "steps": 3})
    for epoch in range(2):
        bar.on_epoch_begin(epoch)
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


def test_lines_of_epochs_that_come_again_go(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("net epoch 1/3 1s\nother epoch 3/3 1s\nnet epoch 2/3 1s\nnet epoch 3/3 1s\n")
    log = callbacks.EpochLog(path, "net")
    log.set_params({"epochs": 3})
    log.on_epoch_begin(1)
    log.on_epoch_end(1, {"loss": 1.0})
    assert [line.split()[2] for line in path.read_text().splitlines()] == ["1/3", "3/3", "2/3"]


def test_a_note_is_told_once_in_the_log_before_its_epoch(tmp_path):
    alarms = DistillationAlarms()
    for _ in range(2):  # the second time from epoch 2 on
        log = callbacks.EpochLog(tmp_path / "log.txt", "net", alarms)
        log.set_params({"epochs": 3})
        for epoch in range(1 if alarms.notes else 0, 3):
            log.on_epoch_begin(epoch)
            alarms.notes |= {"at": "at was 0 in the whole of epoch 2"} if epoch else {}
            log.on_epoch_end(epoch, {"loss": 1.0})
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [" ".join(line.split()[1:3]) for line in lines] == [
        "epoch 1/3",
        "note: at",
        "epoch 2/3",
        "epoch 3/3",
    ]


def test_two_networks_may_write_to_one_log(tmp_path):
    def write(label):
        log = callbacks.EpochLog(tmp_path / "log.txt", label)
        log.set_params({"epochs": 4})
        for epoch in range(4):
            log.on_epoch_begin(epoch)
            log.on_epoch_end(epoch, {"loss": 1.0})

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(write, ["one", "two"]))
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == ["one"] * 4 + ["two"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]


def test_a_signal_is_noted_between_with_and_its_end_alone():
    before = signal.getsignal(signal.SIGUSR1)
    with callbacks.StopOnSignal(signal.SIGUSR1) as stop:
        stop.set_params({"epochs": 4})
        stop.on_epoch_begin(0)
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(callbacks.TrainingInterruptedError, match="stopped by SIGUSR1 with 1 of 4"):
            stop.on_epoch_begin(1)
    assert signal.getsignal(signal.SIGUSR1) == before


def test_snapshots_are_evenly_spread_with_both_ends(tmp_path, data):
    x, y = data
    network = mlp()
    start = weights_of(network)
    network.compile("sgd", sparse_ce())
    network.fit(x, y, epochs=7, verbose=0, callbacks=[snapshots.Snapshots(tmp_path, network, 3)])
    kept = snapshots.read_snapshots(tmp_path)
    assert list(kept) == [0, 4, 7]
    for epochs, weights in ((0, start), (7, weights_of(network))):
        assert weights.keys() == kept[epochs].keys()
        assert all((weights[path] == kept[epochs][path]).all() for path in weights)
    assert snapshots.read_snapshots(tmp_path / "none") == {}
