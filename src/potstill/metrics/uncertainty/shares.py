"""Shares of rows with intervals that stay between 0 and 1, of single rows and of rows that come in clusters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from potstill.metrics.answers import Z95, score_interval
from potstill.metrics.uncertainty.interval import LEVEL, Interval, t_of, z_of
from potstill.metrics.uncertainty.means import mean_interval


def share_interval(right: Sequence[bool], clusters: Sequence[Hashable] | None = None, level: float = LEVEL) -> Interval:
    """Return the share of rows that are right, whose clusters are a sample of many.

    The interval is Wilson's. With clusters it is that of as many independent rows as would have the error that the
    clusters show (`mean_interval`), though of no more than there are, with the quantile of Student's distribution for
    the number of clusters. Where all rows are right, or none, no error shows, and each cluster counts as one row. Of
    one cluster nothing is known: the interval is everything.

    N. Dean and M. Pagano, "Evaluating confidence interval methods for binomial proportions in clustered surveys",
    Journal of Survey Statistics and Methodology 3 (2015), section 2; E. L. Korn and B. I. Graubard, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey data", Survey
    Methodology 24 (1998).

    Raises:
        ValueError: there are no rows, or not as many clusters.

    >>> share = share_interval([True, True, False, True], ["a", "a", "b", "c"])
    >>> round(share.value, 3), round(share.low, 3), round(share.high, 3)
    (0.75, 0.057, 0.993)
    """
    mean = mean_interval([float(one) for one in right], clusters, level)
    count = len(right) if clusters is None else len(set(clusters))
    if clusters is not None and count < 2:
        return Interval(mean.value, 0.0, 1.0)
    if clusters is None or mean.value in (0.0, 1.0):
        ends = score_interval(mean.value, count, Z95 if level == LEVEL else z_of(level))
    else:
        independent = mean.value * (1 - mean.value) / mean.error**2 if mean.error else len(right)
        ends = score_interval(mean.value, min(independent, len(right)), t_of(level, count - 1))
    return Interval(mean.value, ends.low, ends.high, mean.error)
