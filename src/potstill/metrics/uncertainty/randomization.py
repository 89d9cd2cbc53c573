"""Whether two models' figures on the same rows differ by more than chance: by exchanging their rows at random."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from potstill.metrics.uncertainty.bootstrap import Figure
from potstill.metrics.uncertainty.means import cluster_sums

_BLOCK = 2_000_000
"""Numbers of a block of draws; bounds the memory."""


def paired_randomization(
    first: ArrayLike,
    second: ArrayLike,
    figure: Figure,
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """Return the two-sided p of the difference of the figures that `first` and `second` [n, k] make of the same rows.

    If both models are alike, what they did on a row may as well have been done the other way round. Each draw
    exchanges the models on each row with probability 1/2, and p is the share of draws whose difference is at least as
    far from 0 as the observed one, which counts as a draw: (1 + those) / (1 + draws). Rows of one cluster are exchanged
    together, as they are not independent.

    A. Yeh, "More accurate tests for the statistical significance of result differences", COLING 2000, section 3.2, for
    F1; E. W. Noreen, "Computer-intensive methods for testing hypotheses" (1989), chapter 2, also for the 1 that is
    added.

    Raises:
        ValueError: there are no rows, both models have not as many, or there are not as many clusters.

    >>> paired_randomization([[1], [1], [1]], [[0], [0], [0]], lambda sums: sums[0], draws=2000)  # of 8 ways, 2
    0.25537231384307846
    """
    mine, yours = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if mine.shape != yours.shape or mine.ndim != 2 or not len(mine):
        raise ValueError(f"models are paired on the same rows, at least one, got {mine.shape} and {yours.shape}")
    apart = mine - yours if clusters is None else cluster_sums(mine - yours, clusters)
    together = mine.sum(axis=0) + yours.sum(axis=0)
    # rows on which both did the same are the same whichever way round
    apart = apart[np.any(apart != 0, axis=1)]

    def difference(gap: np.ndarray) -> float:
        """Return the difference of figures whose sums are `gap` apart."""
        return figure(list((together + gap) / 2)) - figure(list((together - gap) / 2))

    observed = abs(difference(apart.sum(axis=0)))
    if not len(apart) or not observed:
        return 1.0
    rng = np.random.default_rng(seed)
    block, extreme = max(1, _BLOCK // len(apart)), 0
    for start in range(0, draws, block):
        signs = 2.0 * rng.integers(0, 2, size=(min(draws - start, block), len(apart))) - 1
        # a rounding must not make the observed split less extreme than itself
        extreme += sum(abs(difference(gap)) >= observed * (1 - 1e-9) for gap in signs @ apart)
    return (1 + extreme) / (1 + draws)
