"""How the time of a piece of work grows with its size, apart from how fast and how busy the machine is."""

import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], object], size: int = 50_000) -> None:
    """Fail where four times the size takes far more than four times as long; quadratic work takes sixteen times.

    The time is that of this thread on a processor: what other threads and processes do does not count.
    """
    short, long = (min(seconds(work, size * factor) for _ in range(2)) for factor in (1, 4))
    assert long < 8 * short + 0.2, f"{short:.3f} s for size {size}, {long:.3f} s for four times as much"


def seconds(work: Callable[[int], object], size: int) -> float:
    """Return the processor time that the work takes."""
    start = time.thread_time()
    work(size)
    return time.thread_time() - start
