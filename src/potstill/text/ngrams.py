"""Words and n-grams of a text, as filters compare them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from potstill.text.words import words_of

Unit = Literal["word", "character"]
"""What n-grams are made of."""


def plain(value: object) -> str:
    """Return a column's value as a text; a missing one is an empty text."""
    return "" if value is None else str(value)


def normal(text: object) -> str:
    """Return the words of `text` with single spaces between them: two texts with the same ones say the same.

    >>> normal("  Turn ON the light, please! ")
    'turn on the light please'
    """
    return " ".join(words_of(text))


def ngrams(words: Sequence[str], n: int) -> Iterator[str]:
    """Yield every n words in a row.

    >>> list(ngrams(["dim", "the", "lamp"], 2))
    ['dim the', 'the lamp']
    """
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


def shingles(text: object, n: int, unit: Unit = "word") -> frozenset[str]:
    """Return the set of n-grams of `text`, normalized; of a text shorter than n, the text as a whole.

    Broder 1997, "On the resemblance and containment of documents", section 2 (w-shingling, as a set).

    >>> sorted(shingles("Dim the lamp!", 2))
    ['dim the', 'the lamp']
    """
    normalized = normal(text)
    if unit == "character":
        grams = {normalized[start : start + n] for start in range(len(normalized) - n + 1)}
    else:
        grams = set(ngrams(normalized.split(), n))
    return frozenset(grams or ({normalized} if normalized else ()))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the resemblance of two sets, |A and B| / |A or B| (Broder 1997, section 2); two empty ones are alike."""
    shared = len(first & second)
    either = len(first) + len(second) - shared
    return shared / either if either else 1.0
