"""What a study shows while it runs, on a screen and in a log file."""

import io
import os
import signal
import sys

import pytest

from keras_kd.cli import search_display, study_display
from keras_kd.search.results import TrialRecord
from keras_kd.study.design import Run
from keras_kd.study.runner import Progress, RunRecord
from keras_kd.training import callbacks, epoch_log
from tests.support.studies import run_result

DONE, RUNNING, WAITING = (Run(8, "residual", seed=seed) for seed in range(3))


class Screen(io.StringIO):
    def isatty(self):
        return True


def state(share, ended=()):
    records = {record.run: record for record in ended}
    running = {RUNNING: epoch_log.Epoch("network", 5, 20), WAITING: None}
    return Progress(records, running, list(ended), 3, share)


@pytest.fixture
def now(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(study_display.time, "monotonic", lambda: clock[0])
    return clock


def shown(monkeypatch, screen, *states, now, stop=None):
    monkeypatch.setattr("sys.stderr", screen)
    with study_display.Display("depth", stop or callbacks.StopOnSignal()) as display:
        for seconds, each in states:
            now[0] = seconds
            display.show(each)
    return screen.getvalue()


def test_a_line_for_each_run_that_ended_and_each_half_minute(monkeypatch, now):
    failed = RunRecord(WAITING, error="ValueError: no [luck] in Functional.call()")
    text = shown(
        monkeypatch,
        io.StringIO(),
        (0, state(0.5)),
        (29, state(0.5)),
        (31, state(0.5)),
        (100, state(0.6, [RunRecord(DONE, run_result(0.9125))])),
        (120, state(0.6)),
        (200, state(0.9, [failed])),
        now=now,
    )
    assert text.splitlines() == [
        "depth: 0 of 3 runs; now residual-8, width 16, seed 1, epoch 5/20 and 1 more",
        "[1/3, 7 min left] residual-8, width 16, seed 0: 91.2% on test",
        "[1/3, 50 s left] residual-8, width 16, seed 2: failed: the training ended with an error",
    ]


def test_a_screen_shows_one_line_that_moves(monkeypatch, now):
    text = shown(monkeypatch, Screen(), (0, state(0.0)), (60, state(0.5)), now=now)
    assert "depth: 0 of 3 runs, 60 s left; now residual-8" in text


def test_a_search_tells_its_place_each_half_minute(monkeypatch, now):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    display = search_display.Display(4, "val_accuracy", (0, 1))
    record = TrialRecord("0", {"temperature": 3.61, "alpha": 0.571}, "COMPLETED", 2, 0.9, {})
    with display:
        for seconds, trained, epoch in ((100, 0, 1), (110, 0, 2), (131, 1, 1)):
            now[0] = seconds
            display.epoch("0", trained, epoch, 2)
        display.show([record])
    assert sys.stderr.getvalue().splitlines() == [
        "0 of 4 trials; now trial 0, student 1 of 2, epoch 1/2",
        "0 of 4 trials, 3 min left; now trial 0, student 2 of 2, epoch 1/2",
        "[1/4, 2 min left] trial 0: T = 3.61, alpha = 0.571, 2 epochs: 90.0% on validation",
    ]


def test_a_signal_ends_the_study(monkeypatch, now):
    with callbacks.StopOnSignal(signal.SIGUSR1) as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(callbacks.TrainingInterruptedError, match="SIGUSR1 with 0 of 3 runs done"):
            shown(monkeypatch, io.StringIO(), (0, state(0.0)), now=now, stop=stop)
