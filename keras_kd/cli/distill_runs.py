"""A distillation as flags ask for it: the comparison, the exported student, and what its result says."""

import dataclasses
import pathlib

from keras_kd import training
from keras_kd.cli import flags, loss_flags, networks, runs
from keras_kd.data.dataset import Dataset
from keras_kd.distillation import recipes, shortcut_removal
from keras_kd.distillation.shortcut_removal import ShortcutRemoval
from keras_kd.export import export_saved_model
from keras_kd.models import weights
from keras_kd.training import comparison, config, description
from keras_kd.training.distributed import strategy
from keras_kd.training.labels import ALONE, BASELINE, DISTILLED, TEACHER, network_file, removal_label
from keras_kd.utils import backend


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a distillation begins with, checked before anything is written.

    Attributes:
      made: networks as `networks.new_networks` makes them.
      recipe, removal: how the students are taught, and lose their shortcuts.
      dataset, settings: as for `training.compare`.
      target: of the exported student.
    """

    made: tuple
    recipe: recipes.Recipe
    removal: ShortcutRemoval
    dataset: Dataset
    settings: config.Settings
    target: pathlib.Path

    @property
    def student(self):
        """The one that is distilled as it is."""
        return self.made[2]

    def labels(self, values):
        """Of the networks that are trained, so that their number is known."""
        *_, removed, baseline = self.made
        return [
            *([] if networks.teacher_file(values) else [TEACHER]),
            *([] if baseline in (None, "teacher") else [BASELINE]),
            *(ALONE, DISTILLED),
            *([] if removed is None else [removal_label(self.removal)]),
        ]


def prepare(values, run, dataset=None):
    """Loads data and makes networks; writes nothing.

    Args:
      values: an `absl.flags.FlagValues`.
      run: a `run_dir.RunDir`.
      dataset: where it is loaded already.

    Raises:
      ValueError: for flags that do not fit the data, each other or the disk.
    """
    settings = flags.settings_of(values)
    recipe, removal = loss_flags.recipe_of(values), flags.shortcut_removal_of(values)
    target = runs.export_target(values, run)
    runs.check_logits_place(values, values.teacher_views)
    strategy.prepare(settings)
    dataset, settings = runs.load_dataset(values, settings, dataset)
    made = networks.new_networks(values, dataset, settings, recipe, removal)
    comparison.check_networks(*made[:4], dataset, loss=recipe, shortcut_removal=removal)
    return Prepared(made, recipe, removal, dataset, settings, target)


def distil(prepared, folder, values, exports=True):
    """Trains, compares and exports; returns the result, of several hosts on the chief alone.

    Args:
      prepared: a `Prepared`.
      folder: of the run.
      values: an `absl.flags.FlagValues`.
      exports: whether the student is.
    """
    teacher, alone, distilled, removed, baseline = prepared.made
    dataset, settings, recipe = prepared.dataset, prepared.settings, prepared.recipe
    teacher_file = networks.teacher_file(values)
    compared = training.compare(
        teacher,
        alone,
        distilled,
        dataset,
        settings,
        train_teacher=teacher_file is None,
        teacher_accuracy=networks.recorded_accuracy(teacher_file, teacher),
        trust_teacher=bool(values.trust_teacher),
        baseline=baseline,
        student_removed=removed,
        shortcut_removal=prepared.removal,
        loss=recipe,
        temperature=values.temperature,
        alpha=values.alpha,
        alpha_epochs=values.alpha_epochs,
        teacher_logits=runs.cached_logits(values, dataset, settings),
        folder=folder,
        callbacks=runs.callbacks(values, folder, settings),
        jobs=runs.networks_at_a_time(values, settings, distilled),
        while_waiting=runs.check_stop,
        checked=True,
    )
    if compared is None:
        return None
    parity = None
    if exports and backend.on_tensorflow():
        parity = export_saved_model(removed or distilled, prepared.target, dataset=dataset, run=folder)
    names = {"teacher": teacher.name, "student": distilled.name}
    return names | {"export": parity} | _result(compared, prepared, values)


def _result(compared, prepared, values):
    """What `result.json` says of a comparison and how it was made."""
    return {
        "loss": prepared.recipe.text,
        **{name: values[name].value for name in recipes.OF_KD},
        "shortcut_removal": shortcut_removal.format_spec(prepared.removal),
        **compared.to_json(),
        "fingerprints": {
            network_file(label): weights.fingerprint(network) for label, network in compared.models.items()
        },
        **description.describe(prepared.dataset, prepared.settings),
    }
