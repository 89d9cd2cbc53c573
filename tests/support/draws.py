"""Random counts of rows, and a figure of sums, for tests of intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ratio(sums: Sequence[float]) -> float:
    """Return a figure that is no mean."""
    return sums[0] / sums[1] if sums[1] else 0.0


def pairs(rng: np.random.Generator, n: int, first_only: float, second_only: float, draws: int) -> NDArray[np.int64]:
    """Return counts [draws, 2] of rows that one model alone gets right."""
    return rng.multinomial(n, [first_only, second_only, 1 - first_only - second_only], draws)[:, :2]
