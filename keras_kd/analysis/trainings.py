"""What a network was at the snapshots of its training: the network itself, or one with fading shortcuts.

training = trainings.of_run(folder, "student_fade", student, result, dataset)
point = training.point(10)  # of training.network: its gates are where they were after ten epochs
"""

import dataclasses
import pathlib

import keras

from keras_kd.data import sampling
from keras_kd.distillation import shortcut_removal
from keras_kd.models import fading
from keras_kd.reporting import training_curves
from keras_kd.training import snapshots
from keras_kd.utils import run_dir

# What of the logs belongs to the way of a network.
METRICS = ("val_accuracy", training_curves.WITHOUT_SHORTCUTS, training_curves.GATE)


@dataclasses.dataclass(frozen=True)
class Training:
    """The way of one network through its training.

    Attributes:
      snapshots: `{epochs: point}`, in order, points as `{path: array}`: of a network whose shortcuts went
        away meanwhile, what would have been left of it.
      network: computes what was trained. It has the weights of the snapshots, and may have fading shortcuts.
      steps: of an epoch; matters to these alone.
      history: `{metric: [value per epoch]}`, of `METRICS` those that were logged.
    """

    snapshots: dict
    network: keras.Model
    steps: int = 0
    history: dict = dataclasses.field(default_factory=dict)

    @property
    def fades(self):
        """Whether it lost its shortcuts, so that it was something else than what is left of it."""
        return bool(fading.fading_shortcuts(self.network))

    def point(self, epochs):
        """The network as it was after so many epochs, one of its snapshots: a point of `network`."""
        gates = fading.fading_shortcuts(self.network)
        return self.snapshots[epochs] | {gate.step.path: epochs * self.steps for gate in gates}


def of_run(folder, label, network, result, dataset):
    """The `Training` of one network of a run; None without snapshots.

    Args:
      folder: of a run of train or distill.
      label: what the network is called there.
      network: as the run left it.
      result: the run's `result.json`.
      dataset: the `Dataset` that the run saw.
    """
    points = snapshots.read_snapshots(pathlib.Path(folder) / run_dir.TRAJECTORY / label)
    if not points:
        return None
    histories = result.get("history", {})
    history = histories.get(label, {}) if "networks" in result else histories
    history = {name: history[name] for name in METRICS if name in history}
    if training_curves.GATE not in history:
        return Training(points, network, history=history)
    settings = result["settings"]
    steps = sampling.batch_schedule(dataset, settings["batch_size"]).steps
    gates = shortcut_removal.gates_of(result["shortcut_removal"])
    spans = gates.spans(len(fading.plain_blocks(network)), settings["epochs"] * steps)
    trained = fading.with_fading_shortcuts(network, spans, gates.fade_curve)
    return Training(points, trained, steps, history)
