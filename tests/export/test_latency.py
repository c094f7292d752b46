import pytest

from keras_kd.export import latency


class Clock:
    """Time passes only where something takes it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def timed(durations, **options):
    """What is measured of one function whose calls take so long, in seconds."""
    clock, left = Clock(), iter(durations)

    def work():
        clock.now += next(left)

    return latency.measure({"a": work}, clock=clock, **options)["a"]


def test_the_first_calls_do_not_count():
    found = timed([9.0] * latency.WARM_UP + [0.001 * place for place in range(1, 16)], calls=15)
    assert found.calls == 15
    assert found.median == pytest.approx(8.0)
    assert found.percentile_90 == pytest.approx(13.6)


def test_slow_functions_are_called_less_often_but_once_a_turn():
    assert timed([1.0] * 100, calls=50, seconds=10.0).calls == 2 * latency.TURNS
    assert timed([100.0] * 100, calls=50, seconds=2.0).calls == latency.TURNS


def test_functions_take_turns():
    asked = []
    functions = {name: lambda name=name: asked.append(name) for name in "ab"}
    latency.measure(functions, calls=10, after_turn=lambda: asked.append("."))
    assert asked[2 * latency.WARM_UP :] == [*"aa.bb."] * latency.TURNS
