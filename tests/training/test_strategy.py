"""One strategy for a set of devices, and a line where a process makes another."""

import contextlib
import types

import keras
import pytest

from keras_kd.training import config, inputs
from keras_kd.training.distributed import strategy
from keras_kd.utils import strategies
from tests.support.networks import mlp

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's")


def several(*devices):
    """What is asked of a `tf.distribute.Strategy` of several replicas."""
    return types.SimpleNamespace(
        num_replicas_in_sync=len(devices), extended=types.SimpleNamespace(worker_devices=devices)
    )


@pytest.fixture(autouse=True)
def _nothing_used(monkeypatch):
    monkeypatch.setattr(strategies, "USED", {})


def mirrored(replicas=0, name="mirrored"):
    return strategy.prepare(config.Settings(strategy=name, replicas=replicas))


def test_one_device_has_one_strategy_however_it_is_asked_for():
    assert mirrored() is mirrored(1) is mirrored(0)


def test_the_strategy_of_an_open_scope_is_taken_for_its_devices():
    import tensorflow as tf

    own = tf.distribute.MirroredStrategy(["CPU:0"])
    with own.scope():
        assert mirrored() is own
        assert mirrored(name="auto") is own
    assert mirrored() is own


def test_a_strategy_of_other_kind_that_is_open_is_told():
    import tensorflow as tf

    with (
        tf.distribute.OneDeviceStrategy("CPU:0").scope(),
        pytest.raises(ValueError, match="inside the scope of a OneDeviceStrategy"),
    ):
        mirrored()


def test_a_second_set_of_devices_is_told_from_a_first():
    strategies.check_only(several("GPU:0", "GPU:1"))
    strategies.check_only(several("GPU:0", "GPU:1"))
    strategies.check_only(several("GPU:3"))  # one replica has no collectives
    with pytest.raises(
        ValueError, match=r"has a strategy on GPU:0, GPU:1.*Received: another on GPU:0, GPU:2"
    ):
        strategies.check_only(several("GPU:0", "GPU:2"))


def test_a_network_of_another_strategy_is_told():
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name="elsewhere")
    with pytest.raises(
        ValueError, match=r"'elsewhere' was made under a OneDeviceStrategy.*strategy.scope\(settings\)"
    ):
        strategy.check_made_here(network, config.Settings(strategy="none"))


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_of_another_precision_is_told(precision):
    settings = config.Settings(strategy="none", precision=precision)
    with strategy.scope(settings):
        strategy.check_made_here(mlp(), settings)
    with pytest.raises(ValueError, match=f"computes in float32.*Received: precision='{precision}'"):
        strategy.check_made_here(mlp(), settings)


@pytest.mark.parametrize("divides", [{"num_replicas_in_sync": 4}, {"num_replicas_in_sync": 1, "parts": 4}])
def test_a_batch_that_nobody_gave_is_divided_as_a_strategy_divides_it(monkeypatch, divides):
    """Replicas, or the devices of one program, which is what JAX has."""
    several = types.SimpleNamespace(scope=contextlib.nullcontext, **divides)
    monkeypatch.setattr(strategy, "prepare", lambda settings: several)
    fitting = inputs.with_fitting_batch(config.Settings(), 47)
    assert fitting.batch_size == 44
    with strategy.scope(fitting):
        pass
