import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.losses import KnowledgeReview
from keras_kd.models import batch_norm, graph
from tests.support.networks import sparse_ce, weights_of


def test_batch_norm_is_synchronised_only_on_several_replicas():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras_kd.cifar_resnet(8, (8, 8, 1), width=4)])
    norm = model.layers[0].get_layer("stem_bn")
    for replicas, expected in ((1, False), (2, True)):
        with batch_norm.synchronized_batch_norm(model, replicas):
            assert norm.synchronized == expected
        assert not norm.synchronized


def test_so_is_that_of_a_layer_of_a_loss():
    fusion = KnowledgeReview(["a", "b"], ["a", "b"]).make_adaptor(
        [(None, 8, 8, 4), (None, 4, 4, 8)], [(None, 8, 8, 4), (None, 4, 4, 8)]
    )
    norms = [each for each in graph.all_parts(fusion) if isinstance(each, keras.layers.BatchNormalization)]
    assert norms
    with batch_norm.synchronized_batch_norm(fusion, 2):
        assert all(norm.synchronized for norm in norms)
    assert not any(norm.synchronized for norm in norms)


def norm_network(**kwargs):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8, **kwargs)(x))
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


def trained(model, lend, rng):
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), sparse_ce())
    x, y = rng.normal(size=(24, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 24)
    if lend:
        with batch_norm.fused_batch_norm(model):
            history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    else:
        history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    return history["loss"], weights_of(model)


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"epsilon": 1e-5}], ids=str)
def test_fused_batch_norm_trains_the_same(options):
    """Nine steps with momentum: loss, kernels, gamma, beta and both moving statistics."""
    loss, weights = trained(norm_network(**options), False, np.random.default_rng(1))
    fused_loss, fused = trained(norm_network(**options), True, np.random.default_rng(1))
    np.testing.assert_allclose(fused_loss, loss, rtol=1e-5)
    for found, expected in zip(fused, weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_fused_batch_norm_trains_the_same_in_bfloat16():
    (loss, weights), (fused_loss, fused) = (
        trained(norm_network(dtype="mixed_bfloat16"), lend, np.random.default_rng(1))
        for lend in (False, True)
    )
    np.testing.assert_allclose(fused_loss, loss, rtol=1e-2)
    for found, expected in zip(fused, weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.1, atol=2e-2)


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"epsilon": 1e-2}], ids=str)
def test_fused_batch_norm_infers_the_same(options, rng):
    model = norm_network(**options)
    norm = next(layer for layer in model.layers if "batch_norm" in layer.name)
    for weight in norm.weights:
        weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    x = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    expected = np.asarray(model(x, training=False))
    with batch_norm.fused_batch_norm(model):
        found = np.asarray(model(x, training=False))
        norm.trainable = False
        frozen = np.asarray(model(x, training=True))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(frozen, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "mish", "relu", "elu", "sigmoid"])
def test_any_activation_may_follow(activation, rng):
    """In a graph TensorFlow joins convolution, BatchNorm and activation, some of which it then cannot run."""
    import tensorflow as tf

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation(activation),
        ]
    )
    x = rng.normal(size=(4, 8, 8, 1)).astype("float32")
    expected = np.asarray(model(x, training=False))
    with batch_norm.fused_batch_norm(model):
        found = tf.function(lambda images: model(images, training=False))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_fused_batch_norm_is_one_operation_while_it_lasts():
    import tensorflow as tf

    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)

    def operations():
        forward = tf.function(lambda x: model(x, training=True))
        graph = forward.get_concrete_function(tf.TensorSpec((2, 8, 8, 1))).graph
        return [operation.type for operation in graph.get_operations()]

    with batch_norm.fused_batch_norm(model):
        assert operations().count("FusedBatchNormV3") == 7
    assert "FusedBatchNormV3" not in operations()
    assert all("call" not in vars(layer) for layer in model.layers)


def test_what_fused_batch_norm_cannot_do_stays(rng):
    dense = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)])
    synchronised = norm_network(synchronized=True)
    x = rng.normal(size=(16, 5)).astype("float32")
    expected = np.array(dense(x, training=True))
    with batch_norm.fused_batch_norm(dense), batch_norm.fused_batch_norm(synchronised):
        np.testing.assert_array_equal(dense(x, training=True), expected)
        assert all("call" not in vars(layer) for layer in synchronised.layers)


def test_updates_are_counted_and_the_layers_come_back():
    norms = [keras.layers.BatchNormalization(momentum=momentum) for momentum in (0.9, 1.0)]
    x = np.ones((4, 3), "float32")
    norms[1](x)
    with batch_norm.counted_updates(norms) as (first, second):
        for training in (True, True, False, None):
            norms[0](x, training=training)
        assert norms[1].momentum == second.momentum == batch_norm.SLOWEST
    assert (first.count, second.count, first.momentum) == (2, 0, 0.9)
    assert [norm.momentum for norm in norms] == [0.9, 1.0]
    assert not any("call" in vars(norm) for norm in norms)
    with pytest.raises(RuntimeError), batch_norm.counted_updates(norms):
        raise RuntimeError
    assert not any("call" in vars(norm) for norm in norms)
