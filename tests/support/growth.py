"""How the time of a piece of work grows with its size, apart from how fast and how busy the machine is."""

import time
from collections.abc import Callable

TRIES = 3
"""Measurements, of which one must be as it should."""


def assert_linear(work: Callable[[int], object], size: int = 50_000) -> None:
    """Fail where four times the size takes far more than four times as long; quadratic work takes sixteen times.

    The time is that of this thread on a processor: what other threads and processes do does not count. What a virtual
    machine's host takes away does, so that one bad measurement is no failure.
    """
    for _ in range(TRIES):
        short, long = (min(seconds(work, size * factor) for _ in range(2)) for factor in (1, 4))
        if long < 8 * short + 0.2:
            return
    raise AssertionError(f"{short:.3f} s for size {size}, {long:.3f} s for four times as much")


def seconds(work: Callable[[int], object], size: int) -> float:
    """Return the processor time that the work takes."""
    start = time.thread_time()
    work(size)
    return time.thread_time() - start
