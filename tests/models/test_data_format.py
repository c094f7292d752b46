"""Feature maps whose channels come first are known, and refused where height and width are read."""

import keras
import pytest
from keras import layers

from keras_kd.models import data_format, stages
from tests.support.networks import resnet8

FIRST = {"data_format": "channels_first", "padding": "same"}


def channels_first(seed=0, name="turned"):
    """Images of channels last, maps of channels first, and at the end of channels last again."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 3))
    x = layers.Permute((3, 1, 2), name="to_first")(layers.Conv2D(3, 3, padding="same", name="stem")(image))
    x = layers.ReLU(name="relu")(layers.Conv2D(4, 3, **FIRST, name="conv")(x))
    x = layers.Permute((2, 3, 1), name="to_last")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(4, name="logits")(x), name=name)


def inside_another():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", name="stem")(image)
    inner = keras.Input((3, 8, 8))
    backbone = keras.Model(inner, layers.MaxPooling2D(**FIRST)(inner), name="backbone")
    x = layers.ReLU(name="relu")(backbone(layers.Permute((3, 1, 2), name="to_first")(x)))
    return keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x)), name="outer")


@pytest.mark.parametrize(
    ("build", "name"), [(channels_first, "conv"), (channels_first, "relu"), (inside_another, "relu")]
)
def test_a_layer_goes_by_its_own_format_or_by_that_of_its_network(build, name):
    model = build()
    with pytest.raises(ValueError, match=rf"layer '{name}' of model '{model.name}' has .* first") as said:
        data_format.check_channels_last(model, ["stem", name])
    assert f"Received: shape {tuple(model.get_layer(name).output.shape)}" in str(said.value)
    assert "\n" not in str(said.value)


def test_channels_that_come_last_pass():
    data_format.check_channels_last(channels_first(), ["stem", "to_last", "mean", "logits"])
    network = resnet8()
    data_format.check_channels_last(network, [layer.name for layer in network.layers])


@pytest.mark.parametrize("of", ["stages", "last_stage"])
def test_stages_are_not_paired_by_channels(of):
    for pair in ((channels_first(), resnet8()), (resnet8(), channels_first())):
        with pytest.raises(ValueError, match=r"layer 'conv' .*'turned' has .* first: .*Permute"):
            stages.PAIRS[of](*pair)
