"""Whether a student loses at most so much against its teacher: proven, which is more than that no loss was found.

A student passes if the lower end of the interval of (student - teacher) is above -`within`. Failing says either that it
loses more or that there are too few rows to tell, and `Verdict.worse` which of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from potstill.metrics.significance import holm, normal_p, student_p
from potstill.metrics.uncertainty.interval import LEVEL, Interval
from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.paired_shares import bonett_price


@dataclass(frozen=True)
class Verdict:
    """Whether one student is within the bound."""

    difference: Interval
    """Student minus teacher, with its interval."""
    within: float
    """The loss that is allowed, on the scale of the figure."""
    p: float
    """One-sided p that the student loses that much or more; of several students, corrected."""
    passed: bool
    """Whether it is proven that it loses less."""
    worse: bool
    """Whether it is proven that it loses more."""


def non_inferior_shares(student_only: int, teacher_only: int, n: int, within: float, level: float = LEVEL) -> Verdict:
    """Return whether a student's share of right answers is at most `within` below its teacher's, on the same n rows.

    By the interval of Bonett and Price, whose standard error does not depend on what is to be proven, so that interval
    and p say the same. The error is (1 - level) / 2, half of that of a two-sided test, as ICH E9 (1998), section 5.5,
    asks for.

    >>> non_inferior_shares(20, 22, 1000, within=0.02).passed, non_inferior_shares(2, 3, 100, within=0.02).passed
    (True, False)
    """
    difference = bonett_price(student_only, teacher_only, n, level)
    # the adjusted difference in the middle of Bonett and Price's interval, not the plain one
    middle = (student_only - teacher_only) / (n + 2)
    return _verdict(difference, within, _upper(normal_p, (middle + within) / difference.error), level)


def non_inferior_means(
    student: ArrayLike,
    teacher: ArrayLike,
    within: float,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
) -> Verdict:
    """Return whether a student's mean score is at most `within` below its teacher's, on the same rows.

    By Student's interval of the paired differences, clustered where `clusters` are given. Differences that are all the
    same have no spread to learn from, and prove only that few rows differ from them (Hanley and Lippman-Hand 1983: of
    `n` rows without an event, at most 1 - 0.025^(1/n)), each of which may lose as much as a score can be: 1, or the
    largest one that there is. So two equal models pass `within` 0.02 from 183 rows on.

    Raises:
        ValueError: there are not as many scores of both.
    """
    import numpy as np

    student_scores, teacher_scores = np.asarray(student, dtype=float), np.asarray(teacher, dtype=float)
    if student_scores.shape != teacher_scores.shape:
        shapes = f"{student_scores.shape} and {teacher_scores.shape}"
        raise ValueError(f"a student and its teacher are paired on the same rows, got {shapes}")
    difference = mean_interval(student_scores - teacher_scores, clusters, level)
    count = len(student_scores) if clusters is None else len(set(clusters))
    # also where the error is NaN, of one cluster
    if not difference.error > 0:
        largest = max(1.0, float(abs(student_scores).max()), float(abs(teacher_scores).max()))
        return _alike(difference, within, count, largest, level)
    freedom = count - 1
    return _verdict(
        difference,
        within,
        _upper(lambda t: student_p(t, freedom), (difference.value + within) / difference.error),
        level,
    )


def corrected(verdicts: Mapping[str, Verdict], level: float = LEVEL) -> dict[str, Verdict]:
    """Return the verdicts on several students, corrected so that one that passes wrongly is as rare as of one alone.

    By Holm's method on their p. A student passes with its corrected p.
    """
    raised = holm([verdict.p for verdict in verdicts.values()])
    return {
        name: Verdict(one.difference, one.within, p, one.passed and p < (1 - level) / 2, one.worse)
        for (name, one), p in zip(verdicts.items(), raised, strict=True)
    }


def _verdict(difference: Interval, within: float, p: float, level: float) -> Verdict:
    """Return the verdict of an interval.

    Raises:
        ValueError: `within` is no loss.
    """
    if not within >= 0:
        raise ValueError(f"within={within} is no loss: give what may be lost, such as 0.02, or 0")
    return Verdict(difference, within, p, difference.low > -within and p < (1 - level) / 2, difference.high < -within)


def _alike(difference: Interval, within: float, count: int, largest: float, level: float) -> Verdict:
    """Return the verdict on `count` differences that are all the same, of scores of at most `largest`."""
    if not math.isfinite(difference.value):
        return _verdict(difference, within, 1.0, level)
    # the largest share of other rows of which none would be among these in one of 40 samples
    others = largest * (1 - ((1 - level) / 2) ** (1 / count))
    bounds = Interval(difference.value, difference.value - others, difference.value + others, difference.error)
    share = (difference.value + within) / largest
    p = min(1.0, max(0.0, 1 - share)) ** count
    return _verdict(bounds, within, p, level)


def _upper(two_sided: object, value: float) -> float:
    """Return the probability of a number above `value`, from the function that gives both tails."""
    assert callable(two_sided)
    # both distributions are symmetric: one tail is half of the two
    half = float(two_sided(abs(value))) / 2
    return half if value >= 0 else 1 - half
