import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.models import graph, weights
from tests.support.networks import same, weights_of


def test_taps_are_the_layers_outputs_in_one_pass(rng):
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    x = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    outputs = graph.feature_extractor(model, ["head_pool"]).predict(x, verbose=0)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(outputs["head_pool"] @ kernel + bias, outputs["logits"], atol=1e-5)
    np.testing.assert_allclose(outputs["logits"], model.predict(x, verbose=0), atol=1e-6)


def test_taps_share_the_models_weights():
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    tapped = graph.feature_extractor(model, ["head_pool"])
    assert {id(weight) for weight in tapped.weights} == {id(weight) for weight in model.weights}


def test_an_unknown_layer_is_named_with_the_nearest_ones():
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    nearest = "has no layer 'stage9_block1_out'; the nearest of its .* are 'stage._block1_out', .*, 'stage"
    with pytest.raises(ValueError, match=nearest) as refused:
        graph.feature_extractor(model, ["stage9_block1_out"])
    assert len(str(refused.value)) < 200


def with_one_relu():
    """Three convolutions and one ReLU, which is called after each."""
    image, relu = keras.Input((8, 8, 3)), keras.layers.ReLU(name="relu")
    x = relu(keras.layers.Conv2D(2, 3, padding="same", name="first")(image))
    x = relu(keras.layers.Conv2D(2, 3, padding="same", name="second")(x))
    x = relu(keras.layers.Conv2D(2, 3, strides=2, padding="same", name="third")(x))
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, keras.layers.Dense(4)(x), name="shared")


def test_a_layer_that_is_called_several_times_has_no_output_of_its_own():
    model = with_one_relu()
    message = (
        "layer 'relu' of model 'shared' is called 3 times, .*: name a layer that is called once. Received"
    )
    with pytest.raises(ValueError, match=message) as said:
        graph.feature_extractor(model, ["third", "relu"])
    assert "\n" not in str(said.value)
    assert set(graph.feature_extractor(model, ["third", "mean"]).output) == {"logits", "third", "mean"}


class WithoutConfiguration(keras.layers.Layer):
    def call(self, inputs):
        return inputs

    def get_config(self):
        raise KeyError("nothing is known")


def test_calls_are_not_counted_where_a_layer_has_no_configuration():
    image = keras.Input((4,))
    x = WithoutConfiguration(name="own")(keras.layers.Dense(4, activation=lambda x: x)(image))
    graph.check_layers(keras.Model(image, x), ["own"])


def test_calls_from_outside_of_a_model_are_none_of_its_own():
    model = with_one_relu()
    model.get_layer("third")(keras.Input((8, 8, 2)))
    graph.check_layers(model, ["third"])


def continued(old):
    return keras.Sequential([*old.layers[:-1], keras.layers.Dense(4)], name="new")


def behind_another_input(old):
    image = keras.Input((8, 8, 1), name="another")
    x = image
    for layer in old.layers:
        x = layer(x)
    return keras.Model(image, x, name="new")


def put_together_layer_by_layer(old):
    model = keras.Sequential([keras.Input((8, 8, 1))], name="new")
    for layer in old.layers:
        model.add(layer)
    return model


@pytest.mark.parametrize("again", [continued, behind_another_input, put_together_layer_by_layer])
def test_layers_that_were_called_elsewhere_before_run_once(again):
    """They name the output of that call: what makes it would run a second time in a step."""
    norm = keras.layers.BatchNormalization(momentum=0.5, name="norm")
    old = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), norm, keras.layers.Dense(3, name="hidden")]
    )
    model = again(old)
    x = np.random.default_rng(0).normal(3.0, 2.0, (16, 8, 8, 1)).astype("float32")
    expected = np.asarray(model(x)), np.asarray(old.layers[-2](x.reshape(16, -1)))
    tapped = graph.feature_extractor(model, ["norm"])
    found = tapped(x)
    np.testing.assert_allclose(found["logits"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found["norm"], expected[1], rtol=1e-5)
    tapped(x, training=True)
    moved = x.reshape(16, -1).mean(axis=0) / 2  # from 0, by half, once
    np.testing.assert_allclose(norm.moving_mean, moved, rtol=1e-4)


def test_a_graph_to_one_output_returns_no_dict():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"score": keras.layers.Dense(1)(inputs)})
    assert isinstance(graph.uncompiled(model).output, dict)
    assert graph.to_one_output(model).output is model.outputs[0]


def test_copy_weights_goes_by_name():
    source = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    target = keras_kd.cifar_resnet(8, (8, 8, 1), width=4, shortcuts=False)
    assert not same(weights_of(source), weights_of(target))
    weights.copy_weights(source, target)
    assert same(weights_of(source), weights_of(target))


def test_copy_weights_changes_nothing_if_one_does_not_fit():
    source = keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4)
    for target in (
        keras_kd.cifar_resnet(14, (8, 8, 1), 4, width=4),
        keras_kd.cifar_resnet(8, (8, 8, 1), 5, width=4),
    ):
        before = weights_of(target)
        with pytest.raises(ValueError, match=r"different weights|has shape"):
            weights.copy_weights(source, target)
        assert same(before, weights_of(target))


def test_names_that_tell_no_weights_apart_are_refused():
    inputs = keras.Input((4,))
    parts = [
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense")], name="part") for _ in "ab"
    ]
    outer = [keras.Sequential([part], name=name) for part, name in zip(parts, "ab", strict=True)]
    model = keras.Model(inputs, keras.layers.Add()([each(inputs) for each in outer]))
    with pytest.raises(ValueError, match="two weights named 'part/dense/kernel'"):
        weights.weights_of(model)


def test_layers_of_a_model_with_a_call_of_its_own_are_not_tapped():
    class Scaled(keras.Model):
        def __init__(self):
            inputs = keras.Input((8,))
            super().__init__(inputs, keras.layers.Dense(3)(keras.layers.Dense(4, name="h")(inputs)))

        def call(self, x, training=None, mask=None):
            return super().call(x * 100.0, training=training)

    with pytest.raises(ValueError, match=r"of type Scaled has a call of its own.*layer_names=\['h'\]"):
        graph.feature_extractor(Scaled(), ["h"])


def test_copy_weights_tells_apart_weights_of_one_path():
    def two_inside():
        x = inputs = keras.Input((4,))
        for part in (keras.Input((4,)) for _ in "ab"):
            x = keras.Model(part, keras.layers.Dense(4, name="fc")(part))(x)
        return keras.Model(inputs, x)

    source, target = two_inside(), two_inside()
    assert len({weight.path for weight in source.weights}) < len(source.weights)
    weights.copy_weights(source, target)
    for one, other in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
