import sys

import tensorflow as tf

from keras_kd.utils import backend


def test_there_are_no_gpus_to_hide_without_tensorflow(monkeypatch):
    monkeypatch.setattr(backend, "has_tensorflow", lambda: False)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    backend.hide_gpus()


def test_tf32_is_off_inside_and_as_before_behind():
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    with backend.full_float32():
        assert not enabled()
    assert enabled()
