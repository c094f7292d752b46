"""What ways to remove shortcuts make of networks of one's own, and what they leave of them."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd.distillation import shortcut_removal
from keras_kd.models import fading, weights
from tests.support.networks import shaken


@keras.saving.register_keras_serializable(package="test")
class SqueezeExcite(layers.Layer):
    """Hu et al. 2018, arXiv:1709.01507; its layers have no names of their own, and others in a copy."""

    def __init__(self, channels, **options):
        super().__init__(**options)
        self.channels = channels
        self.squeeze = layers.Dense(2, activation="relu")
        self.excite = layers.Dense(channels, activation="sigmoid")

    def build(self, shape):
        self.squeeze.build((None, self.channels))
        self.excite.build((None, 2))

    def call(self, images):
        return images * self.excite(self.squeeze(ops.mean(images, axis=(1, 2), keepdims=True)))

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def squeezing(shortcuts):
    """One block with a layer of one's own, `projection="pad"` not needed."""
    images = keras.Input((8, 8, 3))
    stem = layers.Conv2D(4, 3, padding="same", name="stem_conv")(images)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stage1_block1_conv1")(stem)
    x = layers.BatchNormalization(name="stage1_block1_bn1")(x)
    x = SqueezeExcite(4, name="stage1_block1_se")(x)
    x = layers.Add(name="stage1_block1_add")([stem, x]) if shortcuts else x
    x = layers.ReLU(name="stage1_block1_out")(x)
    return keras.Model(images, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x)))


def answers(network):
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    return ops.convert_to_numpy(network(images, training=False))


def close_gates(network):
    for shortcut in fading.fading_shortcuts(network):
        shortcut.step.assign(shortcut.last)


@pytest.mark.parametrize("spec", ["fade", "merge", "fade+merge"])
def test_what_layers_of_ones_own_have_learnt_is_left(spec):
    student, removal = squeezing(shortcuts=False), shortcut_removal.parse_spec(spec)
    network = shaken(removal.start(student, 10))
    close_gates(network)
    removal.conclude(network, student)
    np.testing.assert_allclose(answers(student), answers(network), atol=1e-4)


@pytest.mark.parametrize(
    "spec", [*shortcut_removal.REMOVALS, "fade+merge", "fade+blockwise", "blockwise+tails"]
)
def test_a_way_says_whether_it_trains_another_network(spec):
    teacher, student = squeezing(shortcuts=True), squeezing(shortcuts=False)
    removal = shortcut_removal.parse_spec(spec)
    assert removal.trains_another == (removal.start(student, 10, teacher) is not student)


def test_layerwise_begins_with_what_the_twins_own_layers_have_learnt():
    teacher, student = shaken(squeezing(shortcuts=True)), squeezing(shortcuts=False)
    network = shortcut_removal.make("layerwise", fade_start=0.5, fade_end=0.5).start(student, 10, teacher)
    np.testing.assert_allclose(answers(network), answers(teacher), atol=1e-4)


@pytest.mark.parametrize("spec", ["fade", "layerwise:fade_start=0.5", "fade+merge"])
def test_a_student_that_computes_something_else_is_told(spec, monkeypatch):
    teacher, student = squeezing(shortcuts=True), squeezing(shortcuts=False)
    removal = shortcut_removal.parse_spec(spec)
    network = shaken(removal.start(student, 10, teacher))
    monkeypatch.setattr(weights, "copy_by_layer", lambda source, target: None)
    removal.conclude(network, student)  # gates are open yet: it is another function
    close_gates(network)
    with pytest.raises(RuntimeError, match="does not compute what"):
        removal.conclude(network, student)


def test_tails_of_one_stage_are_refused_before_training():
    with pytest.raises(ValueError, match="tails needs two stages, .* Received: the student '"):
        shortcut_removal.make("tails").check(
            squeezing(shortcuts=False), squeezing(shortcuts=True), independent=False
        )
