import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.training import config, optimizers
from tests.support.networks import mlp, sparse_ce, weights_of


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


def test_the_cosine_schedule_is_its_formula():
    found = rates(optimizers.cosine_schedule(0.4, 100, 20), 101)
    np.testing.assert_allclose(found[:20], 0.4 * np.arange(20) / 20, atol=1e-6)
    cosine = 0.2 * (1 + np.cos(np.pi * np.arange(81) / 80))
    np.testing.assert_allclose(found[20:], cosine, atol=1e-6)
    np.testing.assert_allclose(rates(optimizers.cosine_schedule(0.4, 80, 0), 81), cosine, atol=1e-6)


def test_the_step_schedule_is_the_papers():
    """He et al. 2016, section 4.2: 0.1, divided by 10 at 32k and 48k of 64k."""
    schedule = optimizers.step_schedule(0.1, 64_000, 400)
    expected = {0: 0.01, 400: 0.01, 401: 0.1, 32_000: 0.1, 32_001: 0.01, 48_000: 0.01, 48_001: 0.001}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate), step
    assert float(optimizers.step_schedule(0.1, 100, 0)(0)) == pytest.approx(0.1)


@pytest.mark.parametrize("clip_norm", [0.5, 100.0])
def test_clipping_scales_the_whole_gradient(clip_norm):
    variables = [keras.Variable(np.zeros(2, "float32")), keras.Variable(np.zeros(1, "float32"))]
    gradients = [np.array([3.0, 0.0], "float32"), np.array([4.0], "float32")]
    optimizer = optimizers.GlobalClipSGD(1.0, clip_norm=clip_norm)
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    factor = min(1.0, clip_norm / 5.0)
    for variable, gradient in zip(variables, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), -factor * gradient, rtol=1e-6)


@pytest.mark.parametrize("clip_norm", [0.0, 100.0])
def test_the_recipes_momentum_is_nesterovs(clip_norm):
    """v <- m v - rate g, w <- w + m v - rate g; here with the gradient 1 and one rate for all steps."""
    settings = config.Settings(
        schedule="step", learning_rate=0.1, momentum=0.5, warmup_fraction=0.0, clip_norm=clip_norm
    )
    optimizer = optimizers.make_optimizer(settings, 1000, mlp())
    weight, velocity, expected = keras.Variable(np.zeros(1, "float32")), 0.0, 0.0
    for _ in range(3):
        optimizer.apply([keras.ops.ones(1)], [weight])
        velocity = 0.5 * velocity - 0.1
        expected += 0.5 * velocity - 0.1
        assert float(weight.numpy()[0]) == pytest.approx(expected, rel=1e-5)


def test_a_weight_without_a_gradient_stays():
    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    optimizer = optimizers.GlobalClipSGD(1.0, clip_norm=10.0)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, keras.ops.ones(2)], variables)
    np.testing.assert_array_equal([variable.numpy() for variable in variables], [[1, 1], [0, 0]])


def test_the_optimiser_survives_its_config():
    optimizer = optimizers.GlobalClipSGD(0.1, momentum=0.9, nesterov=True, clip_norm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert (again.clip_norm, again.momentum, again.nesterov) == (2.0, 0.9, True)


def test_kernels_alone_decay():
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    names = {weight.path.split("/")[-1] for weight in optimizers.kernels(model)}
    assert names == {"kernel"}
    convolutions = [layer for layer in model.layers if "conv" in layer.name]
    assert len(optimizers.kernels(model)) == len(convolutions) + 1


def test_l2_is_half_lambda_times_the_squared_norm_and_goes_again():
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    own = keras.regularizers.L2(0.5)
    model.get_layer("logits").kernel.regularizer = own
    kernels = optimizers.kernels(model)
    squares = [float(np.sum(kernel.numpy().astype(np.float64) ** 2)) for kernel in kernels]
    with optimizers.l2_on_kernels(model, 0.2):
        penalty = float(sum(model.losses))
    assert penalty == pytest.approx(0.1 * sum(squares[:-1]) + 0.5 * squares[-1], rel=1e-5)
    assert [kernel.regularizer for kernel in kernels] == [None] * (len(kernels) - 1) + [own]


def test_l2_moves_a_kernel_like_weight_decay_in_the_gradient(data):
    x, y = data
    plain, decayed = mlp(), mlp()
    plain.compile(keras.optimizers.SGD(0.1), sparse_ce())
    decayed.compile(keras.optimizers.SGD(0.1), sparse_ce())
    before = weights_of(plain)
    plain.fit(x, y, batch_size=48, verbose=0)
    with optimizers.l2_on_kernels(decayed, 0.3):
        decayed.fit(x, y, batch_size=48, verbose=0)
    for start, a, b in zip(before, weights_of(plain), weights_of(decayed), strict=True):
        decay = 0.1 * 0.3 * start if start.ndim > 1 else 0
        np.testing.assert_allclose(b, a - decay, atol=1e-6)


def test_adamw_clips_and_decays_kernels_alone():
    """Its first step is rate * sign of the gradient, after weights decayed by rate * weight_decay."""
    model = mlp()
    before = weights_of(model)
    given = {"schedule": "step", "learning_rate": 0.1, "warmup_fraction": 0.0, "clip_norm": 2.0}
    settings = config.Settings(**given, optimizer="adamw", weight_decay=0.5)
    optimizer = optimizers.make_optimizer(settings, 1000, model)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert (again.clip_norm, again.weight_decay) == (2.0, 0.5)
    optimizer.apply([keras.ops.full(weight.shape, 3.0) for weight in before], model.trainable_weights)
    for start, after in zip(before, weights_of(model), strict=True):
        decayed = start * (1 - 0.1 * 0.5) if start.ndim > 1 else start
        np.testing.assert_allclose(after, decayed - 0.1, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_layers_of_a_loss_do_not_decay(optimizer):
    """Neither where decay is in the loss, which is the network's."""
    model, beside = mlp(), keras.layers.Dense(2)
    beside.build((None, 3))
    trained = [*model.trainable_weights, *beside.trainable_weights]
    for weight in trained:
        weight.assign(np.ones(weight.shape))
    given = {"schedule": "step", "learning_rate": 0.1, "warmup_fraction": 0.0, "decay": "decoupled"}
    settings = config.Settings(**given, optimizer=optimizer, weight_decay=0.5)
    made = optimizers.make_optimizer(settings, 1000, model, trained)
    made.apply([keras.ops.zeros(weight.shape) for weight in trained], trained)
    decayed = [weight.path for weight in trained if keras.ops.convert_to_numpy(weight).max() < 1]
    assert decayed == [weight.path for weight in optimizers.kernels(model)]


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_accumulated_gradients_are_those_of_the_whole_batch(clip_norm):
    given = {"schedule": "step", "learning_rate": 0.1, "warmup_fraction": 0.0, "clip_norm": clip_norm}
    accumulated, whole = keras.Variable(np.zeros(2, "float32")), keras.Variable(np.zeros(2, "float32"))
    many = optimizers.make_optimizer(config.Settings(**given, accumulation_steps=3, ema=0.5), 1000, mlp())
    once = optimizers.make_optimizer(config.Settings(**given, ema=0.5), 1000, mlp())
    gradients = np.array([[[4, 0], [-1, 0], [0, 6]], [[1, 1], [0, 0], [2, 0]]], "float32")
    for three in gradients:
        for gradient in three:
            many.apply([keras.ops.convert_to_tensor(gradient)], [accumulated])
        once.apply([keras.ops.convert_to_tensor(three.mean(axis=0))], [whole])
        np.testing.assert_allclose(accumulated.numpy(), whole.numpy(), rtol=1e-5)


def test_gradients_are_not_accumulated_on_replicas():
    settings = config.Settings(accumulation_steps=4)
    optimizers.check_accumulation(settings, 1)
    optimizers.check_accumulation(config.Settings(), 2)
    with pytest.raises(ValueError, match="on one device, not on 2: .*Received: accumulation_steps=4"):
        optimizers.check_accumulation(settings, 2)
