"""Figures of merit, as pure functions: exact match, valid JSON, Wilson intervals, percentiles, rows that are right."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from potstill.metrics.significance import mcnemar

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution: a two-sided 95 % interval."""


@dataclass(frozen=True)
class Proportion:
    """A share of successes with its interval."""

    value: float
    """Successes by trials, from 0 to 1."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


def wilson(successes: int, trials: int, z: float = Z95) -> Proportion:
    """Return the share of `successes` with its Wilson score interval.

    Unlike the normal interval it stays inside [0, 1] and does not shrink to a point at 0 % or 100 %, where small models
    and easy test sets live.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927),
    pages 209 to 212; Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16
    (2001), equation 4.

    Raises:
        ValueError: there are no trials, or not 0 <= successes <= trials.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} trials is no proportion: give 0 <= successes <= trials > 0")
    return score_interval(successes / trials, trials, z)


def score_interval(share: float, trials: float, z: float) -> Proportion:
    """Return `share` with Wilson's interval for `trials`, which need not be whole: an effective number of them."""
    spread = z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return Proportion(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def canonical(text: str) -> str | None:
    """Return the JSON value in `text` in one fixed spelling, or `None` if `text` is no JSON.

    Keys are sorted and 40.0 is 40, but `true` is not 1. `NaN` and `Infinity`, which Python would take, are no JSON.

    Reference: RFC 8259, sections 2, 4 (members have no order) and 6 (numbers).
    """
    try:
        return json.dumps(json.loads(text, parse_float=_number, parse_constant=_refuse), sort_keys=True)
    except (ValueError, RecursionError):  # a model may well write ten thousand opening brackets
        return None


def valid_json(text: str) -> bool:
    """Return whether `text` as a whole is one JSON value."""
    return canonical(text) is not None


def exact_match(answer: str, expected: str) -> bool:
    """Return whether both hold the same JSON value or, unless both are JSON, the same text but for outer space."""
    first, second = canonical(answer), canonical(expected)
    if first is not None and second is not None:
        return first == second
    return answer.strip() == expected.strip()


def percentile(values: Sequence[float], share: float) -> float:
    """Return the `share` quantile (0 to 1) of `values`, interpolated linearly between neighbours.

    Reference: R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), definition 7, which NumPy uses too.

    Raises:
        ValueError: there are no values, or `share` is outside 0 to 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no {share} quantile of {len(values)} values: give at least one value, and a share of 0 to 1")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def packed(bits: Sequence[bool]) -> str:
    """Return bits as text, eight to a byte: which rows a model got right, so that two models can be paired.

    >>> packed([True, False, False, True])
    'kA=='
    """
    whole = int("".join("1" if bit else "0" for bit in bits) or "0", 2) << (-len(bits) % 8)
    return base64.b64encode(whole.to_bytes((len(bits) + 7) // 8, "big")).decode()


def unpacked(text: str, count: int) -> list[bool] | None:
    """Return the `count` bits that `packed` made a text of; `None` if it holds others.

    >>> unpacked("kA==", 4)
    [True, False, False, True]
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != (count + 7) // 8:
        return None
    return [bool(raw[number // 8] >> (7 - number % 8) & 1) for number in range(count)]


def row_digest(rows: Iterable[object]) -> str:
    """Return a digest of test rows, in their order: figures of two models on the same rows can be paired."""
    seen = hashlib.sha256()
    for row in rows:
        seen.update(json.dumps(row, default=str).encode() + b"\n")
    return seen.hexdigest()[:16]


def against_most_common(values: Sequence[str], right: Sequence[bool]) -> dict[str, float]:
    """Return what always giving the most common of the right answers `values` has, and whether `right` beats it.

    `majority` is its share of right answers, and `majority_p` the p-value of the difference on the same rows.
    """
    value, share = most_common(values)
    only_ours = sum(is_right and one != value for is_right, one in zip(right, values, strict=True))
    only_theirs = sum(not is_right and one == value for is_right, one in zip(right, values, strict=True))
    return {"majority": share, "majority_p": mcnemar(only_ours, only_theirs)}


def most_common(values: Iterable[str]) -> tuple[str, float]:
    """Return the value that comes up most, the first of equals by name, and its share.

    >>> most_common(["b", "a", "b", "c"])
    ('b', 0.5)
    """
    counts = Counter(values)
    value = min(counts, key=lambda one: (-counts[one], one))
    return value, counts[value] / counts.total()


def _number(digits: str) -> int | float:
    value = float(digits)
    return int(value) if value.is_integer() else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
