"""What is shown and checked while a network trains."""

import math
import pathlib
import signal
import threading
import time

import keras

from keras_kd.models import weights
from keras_kd.reporting import tensorboard
from keras_kd.training import checkpointing, epoch_log
from keras_kd.utils import files, locks, progress


class TrainingDivergedError(ArithmeticError):
    """The loss became NaN or infinite."""


class StopOnDivergence(keras.callbacks.Callback):
    """Raises `TrainingDivergedError` when the loss is NaN or infinite; what was saved stays.

    Args:
      label: the network's name in the message.
      every: check each so many batches (a check waits for the device) where Keras gives the
        callbacks their logs, and each epoch's end.
    """

    def __init__(self, label, every=20):
        super().__init__()
        self._label = label
        self._every = every
        self._epoch = 0
        self._checked = -1

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._checked = -1

    def on_train_batch_end(self, batch, logs=None):
        if logs and batch // self._every > self._checked:  # several steps may lie between two calls
            self._checked = batch // self._every
            self._check(logs, f"batch {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "its end")
        self._check(logs, "validation", "val_loss")

    def _check(self, logs, where, name="loss"):
        loss = float((logs or {}).get(name, 0.0))
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss of {self._label!r} is {loss} in epoch {self._epoch + 1} ({where}): use a "
                f"lower learning rate, a longer warm-up or a smaller clip norm"
            )


class TrainingInterruptedError(Exception):
    """The training was asked to stop and stopped after an epoch, whose state is saved."""


class StopOnSignal(keras.callbacks.Callback):
    """Stops after the epoch in which the process was asked to end; schedulers send SIGTERM.

    with StopOnSignal() as stop:
        training.train(..., callbacks=[stop])

    Between `with` and its end the signal does nothing else. Outside the main thread, where
    Python takes no signals, this does nothing.

    Args:
      number: of the signal.

    Raises:
      TrainingInterruptedError: at the beginning of the next epoch or training.
    """

    def __init__(self, number=signal.SIGTERM):
        super().__init__()
        self._number = number
        self._received = False

    def __enter__(self):
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(self._number, self._receive)
        return self

    def __exit__(self, *error):
        if self._is_main:
            signal.signal(self._number, self._before)

    def _receive(self, number, frame):
        self._received = True

    def on_epoch_begin(self, epoch, logs=None):
        self.check(f"{epoch} of {self.params['epochs']} epochs done")

    def check(self, done):
        """Raises a `TrainingInterruptedError` if the signal came.

        Args:
          done: how far the work is, for its message.
        """
        if self._received:
            raise TrainingInterruptedError(f"stopped by {signal.Signals(self._number).name} with {done}")


class ProgressBar(keras.callbacks.Callback):
    """Shows how far a training is and when it ends, in the line of the whole work or in one of its own.

    Args:
      label: the network's name.
    """

    def __init__(self, label):
        super().__init__()
        self._label = label
        self._line = None
        self._remark = ""
        self.completed = 0.0  # epochs, with the part of the present one

    def on_epoch_begin(self, epoch, logs=None):
        if self._line is None and progress.whole() is None:
            self._line = progress.WorkLine("epochs", self.params["epochs"]).__enter__()
        self._epoch = epoch
        self._show(epoch)

    def on_train_batch_end(self, batch, logs=None):
        self._show(self._epoch + (batch + 1) / self.params["steps"])

    def on_epoch_end(self, epoch, logs=None):
        accuracy = (logs or {}).get("val_accuracy")
        self._remark = "" if accuracy is None else f"validation {accuracy:.1%}"
        self._show(epoch + 1)

    def on_train_end(self, logs=None):
        self.stop()

    def _show(self, completed):
        self.completed = completed
        if self._line is not None:
            self._line.show(completed, self._remark)
        elif progress.whole() is not None:
            progress.whole().report(self._label, completed)

    def stop(self):
        """Gives the terminal back; also after an error, when Keras calls no callback."""
        if self._line is not None:
            self._line.close()


class EpochLog(keras.callbacks.Callback):
    """Appends one line per epoch to a text file.

    Where an epoch is trained again, because a run was killed before it was saved, its line goes. Several
    processes may train networks of other labels and write to the same file.

    Args:
      path: of the file; its folder is made.
      label: the network's name, the first word of each line.
      alarms: the `DistillationAlarms` whose notes have a line each, before that of their epoch; or None.
    """

    def __init__(self, path, label, alarms=None):
        super().__init__()
        self._path = pathlib.Path(path)
        self._label = label
        self._alarms = alarms

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def _lines_without(self, number):
        """Those that are there, but for the network's own from epoch `number` on."""
        if not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [line for line in lines if not self._comes_again(epoch_log.epoch_of(line), number)]

    def _comes_again(self, epoch, number):
        return epoch is not None and epoch.label == self._label and epoch.done >= number

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._started
        ended = epoch_log.Epoch(self._label, epoch + 1, self.params["epochs"])
        line = epoch_log.line_of(ended, seconds, logs or {}) + "\n"
        notes = self._alarms.notes.values() if self._alarms else ()
        noted = [f"{self._label} note: {note}\n" for note in notes]
        with locks.held(self._path.with_name(".log.lock"), patience=math.inf, tidy=True):
            before = self._lines_without(epoch + 1)
            new = [*(each for each in noted if each not in before), line]
            files.write_text("".join([*before, *new]), self._path)


class TensorBoardCurves(keras.callbacks.Callback):
    """Writes each epoch's logs for TensorBoard, training beside validation, under the folder's own name.

    Keras's callback makes two runs of a network, LABEL/train and LABEL/validation, and counts epochs from 0.

    Args:
      folder: of the network's event files.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = folder

    def on_train_begin(self, logs=None):
        self._writer = tensorboard.epoch_writer(self._folder)

    def on_epoch_end(self, epoch, logs=None):
        tensorboard.write_epoch(self._writer, epoch, logs or {})

    def on_train_end(self, logs=None):
        self._writer.close()


class LogSettings(keras.callbacks.Callback):
    """Adds what steers the next step to the epoch's logs: learning rate, alpha and temperature.

    Stands before the callbacks that write logs.
    """

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if hasattr(self.model, "alpha_now"):
            logs["alpha"] = float(keras.ops.convert_to_numpy(self.model.alpha_now()))
            logs["temperature"] = self.model.temperature


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole state of the training at the end of each epoch, and brings it back.

    Stands last among the callbacks, so that it sees what the others did with the epoch. `fit`
    then begins with the epoch `initial_epoch`.

    Args:
      checkpoints: the `keras_kd.training.checkpointing.Checkpoints` to read and write; None keeps the
        history and saves nothing.
      variables: a function that returns the Keras variables that make up the state.
      others: the callbacks whose state belongs to it: what their public attributes hold, where
        that is numbers, text or arrays.
      writes: whether to save; of several hosts only one does.
      alarms: the `DistillationAlarms` whose notes are kept with the state, or None.

    Raises:
      ValueError: for a checkpoint that cannot be used: see `Checkpoints.load`.
    """

    def __init__(self, checkpoints, variables, others=(), writes=True, alarms=None):
        super().__init__()
        self._checkpoints = checkpoints if writes else None
        self._variables = variables
        self._others = others
        self._restored = checkpoints.load() if checkpoints else None
        self.history = dict(self._restored.history) if self._restored else {}
        self._seconds_before = self._restored.seconds if self._restored else 0.0
        self._alarms = alarms
        if alarms and self._restored and self._restored.notes is not None:
            alarms.go_on(self._restored.notes)

    def initial_epoch(self, epochs):
        """The epoch to begin with, of `epochs`: the last one's end where nothing is left to do."""
        if self._restored is None:
            return 0
        return epochs if self._restored.finished else self._restored.epochs

    @property
    def seconds(self):
        """Wall-clock time of the training, that of earlier processes included."""
        return self._seconds_before + time.perf_counter() - self._started

    def on_train_begin(self, logs=None):
        self._started = time.perf_counter()
        self._at_begin = [checkpointing.plain_attributes(other) for other in self._others]
        if self._restored is not None:
            checkpointing.write_variables(self._variables(), self._restored.variables)
            for other, attributes in zip(self._others, self._restored.callbacks, strict=True):
                vars(other).update(attributes)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if self._checkpoints is None:
            return
        state = checkpointing.State(
            epochs=epoch + 1,
            finished=epoch + 1 == self.params["epochs"] or self.model.stop_training,
            history=self.history,
            seconds=self.seconds,
            variables=weights.read_variables(self._variables()),
            callbacks=[
                checkpointing.changed(before, checkpointing.plain_attributes(other))
                for before, other in zip(self._at_begin, self._others, strict=True)
            ],
            notes=self._alarms and dict(self._alarms.notes),
        )
        self._checkpoints.save(state)
