"""A trained network learns other classes: its new classifier first, then all of it at a lower rate.

network = models.heads.with_new_classifier(models.load_model("resnet.keras"), dataset.num_classes)
training.fine_tune(network, dataset, settings, frozen_epochs=3, folder="runs/mine")
"""

import dataclasses
import itertools

from keras_kd.models import heads
from keras_kd.training.trainer import Trained, train
from keras_kd.utils import limits

# What the training of the classifier alone is called in the folder of a run.
HEAD = "head"


def fine_tune(
    model,
    dataset,
    settings,
    *,
    frozen_epochs=5,
    unfrozen_rate=0.1,
    folder=None,
    label="model",
    callbacks=(),
    head_callbacks=(),
):
    """Trains a network whose last layer is new, in two parts, each with the schedule of a training.

    Called again with the same folder it goes on after the last epoch that was saved there.

    Args:
      model: a classifier, made inside `strategy.scope(settings)`.
      dataset: a `keras_kd.data.Dataset`.
      settings: a `Settings`; its epochs are those of both parts.
      frozen_epochs: in which the last layer alone is trained, at the settings' learning rate.
      unfrozen_rate: share of that rate at which all layers are trained in the other epochs.
      folder, callbacks: as for `train`; the callbacks are those of the second part.
      label: what the second part is called in the folder; the first is `HEAD`.
      head_callbacks: those of the first part.

    Returns:
      A `trainer.Trained` of both parts, with the history of what both have in their logs.

    Raises:
      ValueError: as `train` does, and for more frozen epochs than there are.
    """
    limits.whole(1, settings.epochs).check("frozen_epochs", frozen_epochs)
    limits.TRAINING_SHARE.check("unfrozen_rate", unfrozen_rate)
    heads.freeze_backbone(model)
    first = dataclasses.replace(settings, epochs=frozen_epochs)
    parts = [train(model, dataset, first, folder=folder, label=HEAD, callbacks=head_callbacks)]
    heads.unfreeze(model)
    if frozen_epochs < settings.epochs:
        rate = settings.learning_rate * unfrozen_rate
        rest = dataclasses.replace(settings, epochs=settings.epochs - frozen_epochs, learning_rate=rate)
        parts.append(train(model, dataset, rest, folder=folder, label=label, callbacks=callbacks))
    named_in_all = [name for name in parts[0].history if all(name in part.history for part in parts)]
    history = {name: list(itertools.chain(*(part.history[name] for part in parts))) for name in named_in_all}
    notes = tuple(note for part in parts for note in part.notes)
    return Trained(history, sum(part.seconds for part in parts), notes)
