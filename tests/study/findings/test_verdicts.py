import pytest

from keras_kd.utils import statistics


def test_the_definitions():
    assert statistics.drop(0.9, 0.8) == pytest.approx(0.1)
    assert statistics.gain(0.85, 0.8) == pytest.approx(0.05)
    assert statistics.recovery(0.9, 0.8, 0.85) == pytest.approx(0.5)
    assert statistics.recovery(0.9, 0.8, 0.95) == pytest.approx(1.5)


def test_without_a_drop_there_is_nothing_to_recover():
    assert statistics.recovery(0.8, 0.8, 0.9) is None
    assert statistics.recovery(0.7, 0.8, 0.9) is None
