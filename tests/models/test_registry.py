"""Networks by name: specs that round-trip, and the same networks as their builders make."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.models import registry
from tests.support.networks import same, weights_of


@pytest.mark.parametrize(
    ("spec", "builder", "sizes", "options"),
    [
        ("cifar_resnet:8:width=4", keras_kd.cifar_resnet, (8,), {"width": 4}),
        (
            "cifar_resnet:8:width=4:shortcuts=none",
            keras_kd.cifar_resnet,
            (8,),
            {"width": 4, "shortcuts": False},
        ),
        (
            "cifar_resnet:8:width=4:shortcuts=1,0,1:dropout=0.5",
            keras_kd.cifar_resnet,
            (8,),
            {"width": 4, "shortcuts": [True, False, True], "dropout": 0.5},
        ),
        ("wide_resnet:10:1", keras_kd.wide_resnet, (10, 1), {}),
        (
            "imagenet_resnet:18:stem=cifar:width=4",
            keras_kd.imagenet_resnet,
            (18,),
            {"stem": "cifar", "width": 4},
        ),
    ],
)
def test_a_spec_builds_what_its_builder_builds(spec, builder, sizes, options):
    models = []
    for build in (
        lambda: keras_kd.models.build(spec, (8, 8, 3), 4),
        lambda: builder(*sizes, input_shape=(8, 8, 3), num_classes=4, **options),
    ):
        keras.utils.set_random_seed(0)
        models.append(build())
    assert same(*map(weights_of, models))
    assert [layer.name for layer in models[0].layers] == [layer.name for layer in models[1].layers]
    assert registry.parse_spec(spec) == (spec.split(":")[0], list(sizes), options)


def test_specs_round_trip():
    for name, sizes, options in (
        ("cifar_resnet", [20], {"width": 8, "shortcuts": False, "dropout": 0.25}),
        ("wide_resnet", [16, 2], {"shortcuts": [True, False] * 3}),
    ):
        assert registry.parse_spec(registry.format_spec(name, *sizes, **options)) == (name, sizes, options)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cifar_resnett:20", "did you mean 'cifar_resnet'"),
        ("vgg:16", "there are cifar_resnet"),
        ("cifar_resnet", "takes 1 sizes, depth: write cifar_resnet:DEPTH"),
        ("wide_resnet:16", "takes 2 sizes, depth, widen"),
        ("cifar_resnet:20:depth=8", "no option 'depth'"),
        ("cifar_resnet:20:wide=8", "no option 'wide': there are width"),
        ("cifar_resnet:20:shortcuts=some", "'none', 'all'"),
        ("cifar_resnet:20:width=8:width=9", "hold each value once. Received: 'width' twice"),
        ("cifar_resnet:21", "depth"),
        ("cifar_resnet:twenty", "depth"),
    ],
)
def test_bad_specs_are_answered_in_one_line(spec, message):
    with pytest.raises(ValueError, match=message):
        keras_kd.models.build(spec, (8, 8, 3), 4)


def test_a_new_architecture_is_one_entry(monkeypatch):
    def mlp(units, input_shape, num_classes, *, name=None):
        image = keras.Input(input_shape)
        x = keras.layers.Dense(units, "relu")(keras.layers.Flatten()(image))
        return keras.Model(image, keras.layers.Dense(num_classes)(x), name=name)

    monkeypatch.setitem(registry.BUILDERS, "mlp", mlp)
    model = keras_kd.models.build("mlp:16", (8, 8, 1), 3, name="small")
    assert model(np.zeros((2, 8, 8, 1))).shape == (2, 3)
    assert model.name == "small"


def test_sizes_that_nobody_gives_are_the_builders_own():
    model = keras_kd.models.build("wide_resnet:10:1")
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 10))
