import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd import Distiller
from tests.support.networks import sparse_ce


def convolutional(channels, size=3, name=None):
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(channels, size, name="features")(image)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)), name=name)


def features(loss):
    return keras.distillation.FeatureDistillation(loss, "features", "features")


class Attention(keras.distillation.DistillationLoss):
    """Compares maps of any number of channels."""

    teacher_layer_name = student_layer_name = "features"

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        teacher, student = (ops.mean(ops.square(x), axis=-1) for x in (teacher_outputs, student_outputs))
        return ops.mean(ops.square(teacher - student))

    def validate_model_compatibility(self, teacher, student):
        pass


@pytest.mark.parametrize("loss", ["mse", "cosine_similarity", keras.losses.MeanAbsoluteError()])
@pytest.mark.parametrize(("channels", "size"), [(6, 3), (1, 3), (4, 5)])
def test_features_of_unequal_shapes_are_refused_with_both_layers(loss, channels, size):
    """One channel would be repeated without a word."""
    message = (
        r"FeatureDistillation cannot compare the output of 'features' \(teacher\) with that of 'features' "
        r"\(student\).*Received: shapes \(None, 6, 6, 4\) and "
    )
    with pytest.raises(ValueError, match=message):
        Distiller(convolutional(4), convolutional(channels, size), terms=[features(loss)])


def test_a_loss_that_takes_unequal_shapes_may_have_them(rng):
    distiller = Distiller(convolutional(4), convolutional(6), terms=[Attention()])
    distiller.compile("sgd", sparse_ce())
    x, y = rng.normal(size=(4, 8, 8, 1)).astype("float32"), np.arange(4)
    assert np.isfinite(distiller.evaluate(x, y, verbose=0, return_dict=True)["attention_loss"])


def test_a_loss_of_ones_own_that_cannot_take_them_is_named():
    with pytest.raises(
        ValueError, match=r"Attention cannot compare .*\(None, 6, 6, 4\) and \(None, 4, 4, 4\)"
    ):
        Distiller(convolutional(4), convolutional(4, 5), terms=[Attention()])


def test_open_sizes_fit():
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, name="features")(image)
    open_size = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    Distiller(open_size, convolutional(4), terms=[features("mse")])


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "1", None])
def test_a_weight_that_is_no_number_is_refused(weight):
    with pytest.raises(ValueError, match="the weight of a term must lie in"):
        Distiller(convolutional(4), convolutional(4), terms=[(weight, features("mse"))])
