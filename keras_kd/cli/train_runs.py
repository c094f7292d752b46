"""A training as flags ask for it, and what its result says."""

from keras_kd import training
from keras_kd.cli import console, flags, runs, transfer_flags
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import shortcut_removal
from keras_kd.models import serialization, weights
from keras_kd.reporting import tensorboard
from keras_kd.training import description
from keras_kd.training.comparison import NetworkResult
from keras_kd.training.distributed import strategy
from keras_kd.utils import run_dir


def shortcut_removal_of(values, model, dataset):
    """The `ShortcutRemoval` that flags ask for, if a training without a teacher can do with it.

    Raises:
      ValueError: for a way that needs a teacher, or that the network cannot go.
    """
    removal = flags.shortcut_removal_of(values, otherwise="none")
    if removal.needs_teacher:
        raise ValueError(
            f"shortcut_removal={removal.name!r} needs a residual teacher, and train has none: take keras-kd "
            f"distill, or a way without one, such as fade"
        )
    removal.check(model, independent=is_multi_label(dataset))
    return removal


def train(model, dataset, settings, folder, values, removal):
    """Trains, measures and saves; returns the result, of several hosts on the chief alone.

    Args:
      model: a `keras.Model`.
      dataset, settings: as for `training.train`.
      folder: of the run.
      values: an `absl.flags.FlagValues`.
      removal: a `ShortcutRemoval`.
    """
    trained = _trained(model, dataset, settings, folder, values, removal)
    if not strategy.is_chief(settings):
        return None
    row = NetworkResult(
        **training.evaluate(model, dataset),
        parameters=weights.count_parameters(model),
        seconds=trained.seconds,
    ).to_json()
    serialization.save_model(model, folder / run_dir.MODEL)
    final = {name: row[name] for name in ("accuracy", "loss")}
    tensorboard.write_run(folder, dataset, settings, {"network": model.name}, final, {})
    described = description.describe(dataset, settings)
    fingerprints = {run_dir.MODEL: weights.fingerprint(model)}
    return {
        "network": model.name,
        **({"multi_label": True} if is_multi_label(dataset) else {}),
        **({"shortcut_removal": shortcut_removal.format_spec(removal)} if removal.trains_another else {}),
        "measured": row,
        "fingerprints": fingerprints,
        "history": trained.history,
        **described,
    }


def _trained(model, dataset, settings, folder, values, removal):
    """Trains as flags ask for: all layers, or the classifier first."""
    options = {"folder": folder, "label": "model"}
    options["callbacks"] = runs.callbacks(values, folder, settings)("model", model)
    if values.freeze != "backbone":
        return training.train(model, dataset, settings, shortcut_removal=removal, **options)
    return training.fine_tune(
        model,
        dataset,
        settings,
        frozen_epochs=values.freeze_epochs or transfer_flags.FROZEN_EPOCHS,
        unfrozen_rate=values.unfreeze_rate or transfer_flags.UNFREEZE_RATE,
        head_callbacks=[console.stop_signal()],
        **options,
    )
