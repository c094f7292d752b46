"""How long a network takes to answer: the middle and the slow tenth of many calls, after some to warm up.

found = measure(lambda: interpreter.invoke(), calls=50)
found.median, found.percentile_90  # milliseconds
"""

import dataclasses
import time

import numpy as np

WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds a call.

    Attributes:
      median, percentile_90: of the calls.
      calls: how many.
    """

    median: float
    percentile_90: float
    calls: int


def measure(function, *, calls=50, seconds=2.0, clock=time.perf_counter):
    """The `Latency` of a function without arguments.

    Args:
      function: what is timed; it must not return before its work is done.
      calls: as many, after `WARM_UP` that do not count.
      seconds: or as many as fit into this time, five at least.
      clock: returns the time in seconds.
    """
    for _ in range(WARM_UP):
        function()
    found, began = [], clock()
    while len(found) < calls and (len(found) < 5 or clock() - began < seconds):
        before = clock()
        function()
        found.append(1000 * (clock() - before))
    return Latency(float(np.median(found)), float(np.percentile(found, 90)), len(found))
