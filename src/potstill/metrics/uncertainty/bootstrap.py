"""Intervals of figures that are computed from sums over the rows, such as BLEU: by drawing rows with replacement.

A row is drawn by counting it more than once in the sums, so that no text is compared again.

Shapes: n rows, or clusters of them, k numbers of each, B draws.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potstill.metrics.uncertainty.interval import LEVEL, Interval
from potstill.metrics.uncertainty.means import cluster_sums

Figure = Callable[[Sequence[float]], float]
"""Makes the figure from the sums [k] over some rows."""
_BLOCK = 2_000_000
"""Numbers of a block of draws; bounds the memory."""


@dataclass(frozen=True)
class PairedBootstrap:
    """The difference of two models' figures on the same rows."""

    difference: Interval
    """The first minus the second."""
    p: float
    """Two-sided p of the difference; 1 where the models do not differ at all."""
    constant: bool
    """Whether all draws have the same difference, so that the interval has no width and says nothing of other rows."""


def bootstrap_interval(
    counts: ArrayLike,
    figure: Figure,
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    draws: int = 1_000,
    seed: int = 0,
) -> Interval:
    """Return the figure of rows with `counts` [n, k], with its percentile interval.

    B. Efron and R. J. Tibshirani, "An introduction to the bootstrap" (1993), section 13.3; of texts, P. Koehn,
    "Statistical significance tests for machine translation evaluation", EMNLP 2004, section 3. With clusters, whole
    ones are drawn (A. C. Davison and D. V. Hinkley, "Bootstrap methods and their application" (1997), section 3.8).

    Raises:
        ValueError: there are no rows, or not as many clusters.
    """
    table = _table(counts, clusters)
    figures = np.array([figure(list(sums)) for sums in _draws(table, draws, seed)])
    value = figure(list(table.sum(axis=0)))
    # a draw may have no figure, such as a share of no fields at all: it is NaN, and left out
    low, high = np.nanquantile(figures, [(1 - level) / 2, (1 + level) / 2])
    # on few rows the figure itself may lie outside of its percentiles: the interval is widened to hold it
    return Interval(value, float(min(low, value)), float(max(high, value)), float(np.nanstd(figures, ddof=1)))


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    figure: Figure,
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    draws: int = 1_000,
    seed: int = 0,
) -> PairedBootstrap:
    """Return the difference of the figures that `first` and `second` [n, k] make of the same rows, drawn together.

    The p is the share of draws whose difference is as far from the observed one as that is from 0, the observed one
    counted as a draw: S. Riezler and J. T. Maxwell, "On some pitfalls in automatic evaluation and significance testing
    for MT", 2005, section 4, as sacrebleu does.

    Raises:
        ValueError: there are no rows, or both models have not as many.
    """
    first_table, second_table = _table(first, clusters), _table(second, clusters)
    if first_table.shape != second_table.shape:
        raise ValueError(f"models are paired on the same rows, got {first_table.shape} and {second_table.shape}")
    observed = figure(list(first_table.sum(axis=0))) - figure(list(second_table.sum(axis=0)))
    width = first_table.shape[1]
    # side by side in one table, so that a draw takes the same rows of both models
    drawn = _draws(np.hstack([first_table, second_table]), draws, seed)
    differences = np.array([figure(list(sums[:width])) - figure(list(sums[width:])) for sums in drawn])
    low, high = np.nanquantile(differences, [(1 - level) / 2, (1 + level) / 2])
    error = float(np.nanstd(differences, ddof=1))
    # centred on the mean of the draws: their spread stands for that under equality (Riezler and Maxwell 2005)
    extreme = int((np.abs(differences - np.nanmean(differences)) >= abs(observed)).sum())
    # the observed difference counts as a draw, so that p is never 0
    p = 1.0 if observed == 0 else (1 + extreme) / (1 + draws)
    interval = Interval(observed, float(min(low, observed)), float(max(high, observed)), error)
    return PairedBootstrap(interval, p, bool(np.ptp(differences) == 0))


def _table(counts: ArrayLike, clusters: Sequence[Hashable] | None) -> NDArray[np.float64]:
    """Return counts as a table of rows, or of clusters.

    Raises:
        ValueError: there are none.
    """
    table = np.asarray(counts, dtype=float)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"a bootstrap draws from at least one row of counts, got the shape {table.shape}")
    return table if clusters is None else cluster_sums(table, clusters)


def _draws(table: NDArray[np.float64], draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield the sums [k] of each draw of as many rows as there are."""
    rng = np.random.default_rng(seed)
    rows = len(table)
    for first in range(0, draws, max(1, _BLOCK // rows)):
        block = min(draws - first, max(1, _BLOCK // rows))
        # how often each row is drawn
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=block).astype(float)
        yield from weights @ table
