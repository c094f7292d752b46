"""How long functions take to answer, in turns: the middle and the slow tenth of many calls.

found = measure({"LiteRT": lambda: run(images), "ONNX Runtime": lambda: other(images)})
found["LiteRT"].median, found["LiteRT"].percentile_90  # milliseconds
"""

import dataclasses
import time

import numpy as np

WARM_UP = 3

TURNS = 5


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds a call.

    Attributes:
      median, percentile_90: of the calls.
      calls: how many.
      turns: the median of each turn; empty in files of older versions.
    """

    median: float
    percentile_90: float
    calls: int
    turns: tuple[float, ...] = ()


def measure(functions, *, calls=50, seconds=2.0, clock=time.perf_counter, after_turn=lambda: None):
    """The `Latency` of each of some functions without arguments.

    They take `TURNS` turns, so that what else the machine does falls on all of them.

    Args:
      functions: `{name: function}`; a function must not return before its work is done.
      calls: of each, in all turns together, after `WARM_UP` that do not count.
      seconds: or as many as fit into this time, one a turn at least.
      clock: returns the time in seconds.
      after_turn: is called after each of the turns of each function.

    Returns:
      `{name: Latency}`.
    """
    found = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(WARM_UP):
            function()
    for _ in range(TURNS):
        for name, function in functions.items():
            found[name].append(_turn(function, max(1, calls // TURNS), seconds / TURNS, clock))
            after_turn()
    return {name: _latency(turns) for name, turns in found.items()}


def _latency(turns):
    times = np.concatenate(turns)
    medians = tuple(float(np.median(each)) for each in turns)
    return Latency(float(np.median(times)), float(np.percentile(times, 90)), len(times), medians)


def _turn(function, calls, seconds, clock):
    """Milliseconds of each call."""
    found, began = [], clock()
    while len(found) < calls and (not found or clock() - began < seconds):
        before = clock()
        function()
        found.append(1000 * (clock() - before))
    return found
