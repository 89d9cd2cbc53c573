"""Pairwise judging in both orders, and the combined verdict (Zheng et al. 2023, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.prompts import rendered
from potstill.teachers.cache.parse_retry import Chats

CHOICES = ("A", "B", "tie")
"""What a judge may say."""
CRITERION = "The better answer is more helpful, correct and to the point."
"""What makes one better, where nothing else is said."""
GIVEN = ("first", "second", "criterion")
"""Template variables that a judging step gives."""


@dataclass(frozen=True)
class Verdict:
    """A judge's verdict on a pair."""

    better: str
    """`first`, `second` or `tie`."""
    agreed: bool
    """Whether it said the same in both orders."""


def both_orders(template: str, row: Mapping[str, Any], first: object, second: object, criterion: str) -> Chats:
    """Return the chats that show the pair as it is and swapped; none for equal texts, which need no judge."""
    if first == second:
        return ()
    orders = ((first, second), (second, first))
    return tuple(rendered(template, {**row, "first": a, "second": b, "criterion": criterion}) for a, b in orders)


def verdict(answers: Sequence[str]) -> Verdict:
    """Return the verdict of the answers to both orders, or to none: only a preference stated twice counts.

    >>> verdict(["A", "B"]), verdict(["A", "A"]).better, verdict(["tie", "B"]).better
    (Verdict(better='first', agreed=True), 'tie', 'tie')
    """
    if not answers:
        return Verdict("tie", agreed=True)
    straight, swapped = answers
    places = {"A": "first", "B": "second", "tie": "tie"}
    mirrored = {"A": "second", "B": "first", "tie": "tie"}
    agreed = places[straight] == mirrored[swapped]
    return Verdict(places[straight] if agreed else "tie", agreed)
