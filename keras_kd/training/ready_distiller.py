"""The `Distiller` of a training: whom it asks, its layers built, and what tells it from that of another."""

import keras

from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import several_teachers, teacher_inputs
from keras_kd.distillation.distiller import Distiller
from keras_kd.distillation.terms import are_known, ask_layers, teacher_layers
from keras_kd.models import folding, outputs, weights
from keras_kd.training import inputs
from keras_kd.training.distributed.strategy import beside, scope
from keras_kd.utils import seeding


def ready_distiller(teacher, network, data, settings, teacher_logits, loss):
    """The `Distiller` of a training, ready for it.

    Args:
      teacher, settings, teacher_logits: as for `trainer.distill`.
      network: that is trained.
      data: a `TrainingData`.
      loss: `{name: value}`, further arguments of `Distiller`.
    """
    with beside(settings):
        asked = _asked(teacher, network, teacher_logits, loss["terms"], is_multi_label(data.dataset))
    with scope(settings), seeding.initial_weights(settings.seed):
        scores = outputs.with_logits(network, independent=is_multi_label(data.dataset))
        distiller = Distiller(asked, scores, images=inputs.device_images_of(data, settings), **loss)
        distiller.check_batch(settings.batch_size)
        distiller.prepare(inputs.TrainingExamples(data.dataset))
    return distiller


def identity(distiller, teacher, teacher_logits):
    """`{name: JSON value}`: what a checkpoint must have in common with the training that goes on from it."""
    serialize = keras.saving.serialize_keras_object
    return {
        "temperature": distiller.temperature,
        "alpha": serialize(distiller.alpha),
        "label_weight": distiller.label_weight,
        "terms": [[serialize(term.weight), serialize(term.loss)] for term in distiller.terms.values()],
        "teacher": weights.digest(teacher),
        **teacher_inputs.identity(teacher),
        **several_teachers.identity(teacher),
        "teacher_logits": teacher_logits and [teacher_logits.views, teacher_logits.identity],
    }


def _asked(teacher, network, teacher_logits, terms, independent):
    """The network that is asked at each step in the teacher's place.

    None where cached logits are all that is asked for; the teacher itself for losses of one's own, which may
    look at its weights; else the fastest: the teacher with its BatchNorms folded.
    """
    if teacher_logits is not None and not ask_layers(terms):
        return None
    if not are_known(terms):
        return teacher
    if ask_layers(terms):
        return folding.fold_batch_norm(teacher, keep=teacher_layers(terms, teacher, network) - {"logits"})
    return folding.fold_batch_norm(outputs.with_logits(teacher, independent=independent))
