"""Whether a student loses at most so much against its teacher: proven, which is more than that no loss was found.

A student passes if the lower end of the interval of (student - teacher) is above -`within`. Failing says either that it
loses more or that there are too few rows to tell, and `Verdict.worse` which of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from potstill.metrics.significance import holm
from potstill.metrics.uncertainty.bounded_means import BoundedMean, bounded_mean
from potstill.metrics.uncertainty.interval import LEVEL, Interval
from potstill.metrics.uncertainty.means import seeds_mean


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

    By the bound of `bounded_mean`, as the intervals of Newcombe or Bonett and Price let 5 to 6 % pass where a student
    only ever loses, and rarely. The error is (1 - level) / 2, half of that of a two-sided test, as ICH E9 (1998),
    section 5.5, asks for.

    Raises:
        ValueError: `within` is no loss, or there are more rows of one kind than rows.

    >>> non_inferior_shares(20, 22, 1000, within=0.02).passed, non_inferior_shares(2, 3, 100, within=0.02).passed
    (True, False)
    """
    alike = n - student_only - teacher_only
    if min(student_only, teacher_only, alike) < 0 or n < 1:
        raise ValueError(f"{student_only} and {teacher_only} rows of {n}: give counts of at least 0, and one row")
    kinds = [(sign, count) for sign, count in ((1.0, student_only), (-1.0, teacher_only), (0.0, alike)) if count]
    sums, counts = np.array(kinds).T
    return _verdict(BoundedMean(sums, np.ones(len(sums)), counts, 1.0), within, level)


def non_inferior_means(
    student: ArrayLike,
    teacher: ArrayLike,
    within: float,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    largest: float | None = None,
) -> Verdict:
    """Return whether a student's mean score is at most `within` below its teacher's, on the same rows.

    By the bound of `bounded_mean`, whose clusters are those given: where a loss of `within` is rare and large, most
    samples show less of it, and Student's interval passes up to four of five students that have it. Two models that
    score alike on all rows pass `within` 0.02 from 183 rows on.

    Args:
        student: scores [n], more is better.
        teacher: scores [n] of the same rows.
        within: what may be lost, on the scale of the scores.
        clusters: what the rows come from [n], where several have the same source.
        level: 1 less twice the error.
        largest: the largest difference that a row can have. Without it, 1 of scores between 0 and 1. Of others it is
            unknown, and assumed to be twice the largest one here and twice `within`: losses that are rarer than the
            rows can show and larger than that are not excluded. Where no row differs, it is the range of the scores
            and 0, at least 1.

    Raises:
        ValueError: there are not as many scores of both, `within` is no loss, or a row differs by more than `largest`.
    """
    student_scores, teacher_scores = np.asarray(student, dtype=float), np.asarray(teacher, dtype=float)
    if student_scores.shape != teacher_scores.shape:
        shapes = f"{student_scores.shape} and {teacher_scores.shape}"
        raise ValueError(f"a student and its teacher are paired on the same rows, got {shapes}")
    differences = student_scores - teacher_scores
    both = np.concatenate([student_scores, teacher_scores, [0.0]])
    if largest is None:
        in_shares = both.min() >= 0 and both.max() <= 1
        apart = float(np.abs(differences).max(initial=0.0))
        largest = 1.0 if in_shares else 2 * max(apart, within) if apart else max(1.0, float(np.ptp(both)))
    return _verdict(bounded_mean(differences, largest, clusters), within, level)


def non_inferior_seeds(
    students: ArrayLike,
    teacher: ArrayLike,
    within: float,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    largest: float | None = None,
) -> Verdict:
    """Return whether a student that was made with several seeds loses at most `within` on average, over rows and seeds.

    What another seed would give is then part of the error: by the interval of `SeedsMean`, and by that of
    `non_inferior_means` on the means of the seeds, which rare losses do not deceive. The wider one counts at each end,
    and the larger p.

    Args:
        students: scores [S, n] of the same student by S seeds, more is better.
        teacher: scores [n] of the same rows.
        within: what may be lost, on the scale of the scores.
        clusters: what the rows come from [n], where several have the same source.
        level: 1 less twice the error.
        largest: the largest difference that a row can have, as in `non_inferior_means`.

    Raises:
        ValueError: there are fewer than two seeds or rows, not as many scores of both, or `within` is no loss.
    """
    table, scores = np.asarray(students, dtype=float), np.asarray(teacher, dtype=float)
    if table.ndim != 2 or scores.shape != table.shape[1:]:
        raise ValueError(f"seeds and their teacher are paired on the same rows, got {table.shape} and {scores.shape}")
    by_rows = non_inferior_means(table.mean(axis=0), scores, within, clusters, level, largest)
    by_seeds = seeds_mean(table - scores, clusters)
    one, other = by_rows.difference, by_seeds.interval(level)
    difference = Interval(one.value, min(one.low, other.low), max(one.high, other.high), max(one.error, other.error))
    p = max(by_rows.p, by_seeds.p_loss(within))
    return Verdict(difference, within, p, p < (1 - level) / 2, difference.high < -within)


def least_rows(within: float, largest: float = 1.0, level: float = LEVEL, students: int = 1) -> int:
    """Return from how many rows on a loss of at most `within` can be proven at all: if none of them differs.

    Of fewer, more than (1 - level) / 2 of samples show no loss of a student that loses `largest` on as many rows as
    make `within` (J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249, 1983).

    >>> least_rows(0.02), least_rows(0.02, students=3)
    (183, 237)
    """
    share = within / largest
    if not 0 < share < 1:
        return 1
    return math.ceil(math.log((1 - level) / 2 / students) / math.log1p(-share))


def corrected(verdicts: Mapping[str, Verdict], level: float = LEVEL) -> dict[str, Verdict]:
    """Return the verdicts on several students, corrected so that one that passes wrongly is as rare as of one alone.

    By Holm's method on their p. A student passes with its corrected p.
    """
    raised = holm([verdict.p for verdict in verdicts.values()])
    return {
        name: Verdict(one.difference, one.within, p, one.passed and p < (1 - level) / 2, one.worse)
        for (name, one), p in zip(verdicts.items(), raised, strict=True)
    }


def _verdict(mean: BoundedMean, within: float, level: float) -> Verdict:
    """Return the verdict on differences.

    Raises:
        ValueError: `within` is no loss.
    """
    if not within >= 0:
        raise ValueError(f"within={within} is no loss: give what may be lost, such as 0.02, or 0")
    difference, p = mean.interval(level), mean.p_loss(within)
    return Verdict(difference, within, p, p < (1 - level) / 2, difference.high < -within)
