"""A distillation as flags ask for it: the comparison, the exported student, and what its result says."""

from keras_kd import training
from keras_kd.cli import networks, runs
from keras_kd.distillation import shortcut_removal
from keras_kd.export import export_saved_model
from keras_kd.models import weights
from keras_kd.training import description
from keras_kd.training.labels import network_file
from keras_kd.utils import backend


def distil(made, recipe, removal, dataset, settings, folder, target, values):
    """Trains, compares and exports; returns the result, of several hosts on the chief alone.

    Args:
      made: networks as `networks.new_networks` makes them.
      recipe, removal: how the students are taught, and lose their shortcuts.
      dataset, settings: as for `training.compare`.
      folder: of the run.
      target: of the exported student.
      values: an `absl.flags.FlagValues`.
    """
    teacher, alone, distilled, removed, baseline = made
    teacher_file = networks.teacher_file(values)
    comparison = training.compare(
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
        shortcut_removal=removal,
        loss=recipe,
        temperature=values.temperature,
        alpha=values.alpha,
        alpha_epochs=values.alpha_epochs,
        teacher_logits=runs.cached_logits(values, dataset, settings),
        folder=folder,
        callbacks=runs.callbacks(values, folder, settings),
        jobs=runs.networks_at_a_time(values, settings, distilled),
        while_waiting=runs.check_stop,
    )
    if comparison is None:
        return None
    parity = None
    if backend.on_tensorflow():
        parity = export_saved_model(removed or distilled, target, dataset=dataset, run=folder)
    names = {"teacher": teacher.name, "student": distilled.name}
    return names | {"export": parity} | _result(comparison, recipe, removal, dataset, settings, values)


def _result(comparison, recipe, removal, dataset, settings, values):
    """What `result.json` says of a comparison and how it was made."""
    return {
        "loss": recipe.text,
        **{name: values[name].value for name in ("temperature", "alpha", "alpha_epochs")},
        "shortcut_removal": shortcut_removal.format_spec(removal),
        **comparison.to_json(),
        "fingerprints": {
            network_file(label): weights.fingerprint(network) for label, network in comparison.models.items()
        },
        **description.describe(dataset, settings),
    }
