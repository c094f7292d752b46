"""Networks that are trained in a second process, while this one trains another.

    with SecondProcess() as second:
        second.begin(train, "student_alone", student)
        train("teacher", teacher)
        second.wait("student_alone")
        train("student_alone", student)  # returns at once: its checkpoints are there

The second process leaves nothing but what training leaves in a run's folder, its checkpoints above all: the
same training finds them here. Where that process failed, training here goes on from what is there.
"""

import concurrent.futures
import pathlib
import tempfile

from keras_kd.models import serialization
from keras_kd.training.distributed import strategy
from keras_kd.utils import processes, progress

# Between two looks whether this process should end.
SECONDS = 0.5


class SecondProcess:
    """Trains networks one after the other; ends at once, with what it does, where this is left."""

    def __enter__(self):
        self._executor = processes.ProcessExecutor(jobs=1, threads=None)
        self._folder = tempfile.TemporaryDirectory()
        self._futures = {}
        return self

    def __exit__(self, *error):
        self._executor.__exit__(*error)
        self._folder.cleanup()

    def begin(self, train, label, network, teacher=None):
        """Has a network trained.

        Args:
          train: `train(label, network, teacher)`, which can be sent to another process; its `settings` are
            the `training.Settings`.
          label: of the network, that of no other.
          network: an untrained `keras.Model`, which is not changed.
          teacher: a trained one, or None.
        """
        files = []
        for name, model in ((label, network), (f"{label}.teacher", teacher)):
            files.append(model and pathlib.Path(self._folder.name) / f"{name}.keras")
            if model:
                serialization.save_model(model, files[-1])
        self._futures[label] = self._executor.submit(_train, train, label, *files)

    def wait(self, label, while_waiting=lambda: None):
        """Returns when the training of a network has ended, well or not; see above.

        Args:
          label: as for `begin`.
          while_waiting: is called now and then; what it raises ends the wait.
        """
        future = self._futures[label]
        while not concurrent.futures.wait([future], timeout=SECONDS).done:
            while_waiting()
        if error := future.exception():
            progress.say(f"{label}: its own process ended ({error}), it is trained here")


def _train(train, label, network, teacher):
    """What is called in the second process."""
    with progress.silence(), strategy.scope(train.settings):
        models = [path and serialization.load_model(path) for path in (network, teacher)]
    with progress.silence():
        train(label, *models)
