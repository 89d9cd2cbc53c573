"""Whether a difference between two models may be chance, as pure functions: paired tests, shares, several at once.

A small p says that the data would be surprising if both models were equally good. A large one does not say that they
are: with few rows no test can decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LARGE = 5_000
"""Trials beyond which a binomial tail is that of a normal distribution, whose error is then below 0.01 of p."""


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided mid-p of McNemar's test: rows that only one of two models gets right, by which of them.

    Under equality each such row is a fair coin. The mid-p takes half the probability of what was seen, and so errs less
    to the safe side than the exact test.

    Reference: M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13 (2013), section "The McNemar
    mid-p test".

    >>> round(mcnemar(1, 9), 4)
    0.0117
    """
    trials, fewer = first_only + second_only, min(first_only, second_only)
    if first_only == second_only:
        return 1.0
    if trials > LARGE:
        return normal_p((first_only - second_only) / math.sqrt(trials))
    # in logarithms: 2**-trials is 0 as a float from 1,075 trials on
    halves = trials * math.log(2)
    tail = math.fsum(math.exp(_log_choose(trials, count) - halves) for count in range(fewer + 1))
    # mid-p: of the observed split, each of the two tails takes only half the probability
    return min(1.0, 2 * tail - math.exp(_log_choose(trials, fewer) - halves))


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Return the two-sided p of McNemar's exact test: never too small, and mostly too large; see `mcnemar`.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), with the binomial distribution instead of its approximation.

    >>> round(mcnemar_exact(1, 9), 4)
    0.0215
    """
    trials, fewer = first_only + second_only, min(first_only, second_only)
    if trials > LARGE:  # with the continuity correction
        return normal_p(max(0, abs(first_only - second_only) - 1) / math.sqrt(trials))
    halves = trials * math.log(2)
    return min(1.0, 2 * math.fsum(math.exp(_log_choose(trials, count) - halves) for count in range(fewer + 1)))


def two_shares(first: float, first_n: int, second: float, second_n: int) -> float:
    """Return the two-sided p of the difference of two shares of independent rows, by the pooled z-test.

    Of two models on the same rows it is too large rather than too small, because most rows are easy or hard for both.

    >>> round(two_shares(0.952, 500, 0.908, 500), 4)
    0.0064
    """
    pooled = (first * first_n + second * second_n) / (first_n + second_n)
    spread = pooled * (1 - pooled) * (1 / first_n + 1 / second_n)
    return 1.0 if spread <= 0 else normal_p((first - second) / math.sqrt(spread))


def paired_means(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of Student's t-test on the differences of pairs; 1 where there are fewer than two pairs.

    >>> round(paired_means([1.0, 2.0, 4.0], [0.0, 0.0, 1.0]), 4)
    0.0742
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    count = len(differences)
    if count < 2:
        return 1.0
    mean = math.fsum(differences) / count
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in differences) / (count - 1))
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return student_p(mean / spread * math.sqrt(count), count - 1)


def normal_p(z: float) -> float:
    """Return the probability that a standard normal number is further from 0 than `z`."""
    return math.erfc(abs(z) / math.sqrt(2))


def student_p(t: float, freedom: int) -> float:
    """Return the probability that a number of Student's distribution is further from 0 than `t`.

    The tail is an integral over an angle, by Simpson's rule; `freedom` counts the degrees of freedom.

    Reference: M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964), section 26.7.
    """
    if freedom > LARGE:
        return normal_p(t)
    angle, steps = math.atan(abs(t) / math.sqrt(freedom)), 2_000
    # from the angle of t to a right angle, so that a small tail keeps its digits
    width = (math.pi / 2 - angle) / steps
    power = freedom - 1
    values = [math.cos(angle + number * width) ** power for number in range(steps)] + [0.0 if power else 1.0]
    weights = [1, *([4, 2] * (steps // 2))[: steps - 1], 1]
    area = width / 3 * math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
    # lgamma, not gamma: gamma of 172 is beyond a float
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    return min(1.0, 2 * math.exp(constant) * area)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values of several tests, raised so that all together are wrong as seldom as one alone.

    Reference: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979), pages 65 to 70.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    raised = [0.0] * len(values)
    highest = 0.0
    for rank, number in enumerate(sorted(range(len(values)), key=lambda number: values[number])):
        # a larger p must not be corrected to less than a smaller one
        highest = max(highest, min(1.0, (len(values) - rank) * values[number]))
        raised[number] = highest
    return raised


def _log_choose(trials: int, count: int) -> float:
    return math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
