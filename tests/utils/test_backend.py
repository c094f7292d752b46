import tensorflow as tf

from keras_kd.utils import backend


def test_tf32_is_off_inside_and_as_before_behind():
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    with backend.full_float32():
        assert not enabled()
    assert enabled()
