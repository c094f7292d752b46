"""What is shown and checked while a network trains."""

import math
import pathlib
import sys
import time

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_kd import storage


class TrainingDivergedError(ArithmeticError):
    """The loss became NaN or infinite."""


class StopOnDivergence(keras.callbacks.Callback):
    """Raises `TrainingDivergedError` when the loss is NaN or infinite; what was saved stays.

    Args:
      label: the network's name in the message.
      every: check each so many batches (a check waits for the device), and each epoch's end.
    """

    def __init__(self, label, every=20):
        super().__init__()
        self._label = label
        self._every = every
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if logs and batch % self._every == 0:
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


class ProgressBar(keras.callbacks.Callback):
    """One bar over the whole run with the time that is left; silent where nobody watches.

    Args:
      label: the network's name.
    """

    def __init__(self, label):
        super().__init__()
        self._label = label
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("epochs, left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[accuracy]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )

    def on_train_begin(self, logs=None):
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self.params["epochs"], accuracy="")
        self._steps = self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self._bar.advance(self._task, 1 / self._steps)

    def on_epoch_end(self, epoch, logs=None):
        accuracy = (logs or {}).get("val_accuracy")
        shown = "" if accuracy is None else f"validation {accuracy:.1%}"
        self._bar.update(self._task, completed=epoch + 1, accuracy=shown)

    def on_train_end(self, logs=None):
        self.stop()

    @property
    def completed(self):
        """Epochs that are done, with the part of the present one."""
        return self._bar.tasks[self._task].completed

    def stop(self):
        """Gives the terminal back; also after an error, when Keras calls no callback."""
        self._bar.stop()


class EpochLog(keras.callbacks.Callback):
    """Appends one line per epoch to a text file.

    Args:
      path: of the file; its folder is made.
      label: the network's name, the first word of each line.
    """

    def __init__(self, path, label):
        super().__init__()
        self._path = pathlib.Path(path)
        self._label = label

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        numbers = " ".join(f"{key}={value:.5g}" for key, value in sorted((logs or {}).items()))
        seconds = time.perf_counter() - self._started
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{self._label} epoch {epoch + 1}/{self.params['epochs']} {seconds:.1f}s {numbers}\n")


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
    """Saves a network, whole or not at all, at the end of the first and the last epoch and of
    each epoch between that ends long enough after the last save.

    Args:
      path: of the `.keras` file; its folder is made.
      network: what to save: the student, where the model that is trained is a Distiller.
      seconds: how long is long enough; a save takes about half a second.
    """

    def __init__(self, path, network, seconds=10.0):
        super().__init__()
        self._path = pathlib.Path(path)
        self._network = network
        self._seconds = seconds
        self._saved = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        is_last = epoch + 1 == self.params["epochs"]
        if is_last or time.monotonic() - self._saved >= self._seconds:
            storage.save_model(self._network, self._path)
            self._saved = time.monotonic()
