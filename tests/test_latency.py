import pytest

from keras_kd import latency


class Clock:
    """Time passes only where something takes it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def timed(durations, **options):
    clock, left = Clock(), iter(durations)

    def work():
        clock.now += next(left)

    return latency.measure(work, clock=clock, **options)


def test_the_first_calls_do_not_count():
    found = timed([9.0] * latency.WARM_UP + [0.001 * place for place in range(1, 12)], calls=11)
    assert found.calls == 11
    assert found.median == pytest.approx(6.0)
    assert found.percentile_90 == pytest.approx(10.0)


def test_slow_functions_are_called_less_often_but_five_times():
    assert timed([1.0] * 100, calls=50, seconds=7.5).calls == 8
    assert timed([100.0] * 100, calls=50, seconds=2.0).calls == 5
