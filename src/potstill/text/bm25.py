"""Okapi BM25: how well documents fit a query by shared words (Robertson and Zaragoza 2009, section 3.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class BM25:
    """An index of documents that are given as lists of words.

    >>> [round(score, 3) for score in BM25([["a", "cat"], ["a", "dog", "barks"]]).scores(["cat"])]
    [0.75, 0.0]
    """

    documents: Sequence[Sequence[str]]
    """Words of each document."""
    k1: float = 1.5
    """How soon more of a word counts no more."""
    b: float = 0.75
    """How much a long document loses: 0 nothing, 1 in proportion."""

    @cached_property
    def _counts(self) -> list[Counter[str]]:
        """Words of each document with how often they come."""
        return [Counter(words) for words in self.documents]

    @cached_property
    def _having(self) -> Counter[str]:
        """Documents that have a word."""
        return Counter(word for counts in self._counts for word in counts)

    def weight(self, word: str) -> float:
        """Return a word's inverse document frequency, which is above 0: the rarer, the higher."""
        having = self._having[word]
        return math.log(1 + (len(self.documents) - having + 0.5) / (having + 0.5))

    def scores(self, query: Sequence[str]) -> list[float]:
        """Return the score of each document; each word of the query counts as often as it is there."""
        mean = sum(map(len, self.documents)) / len(self.documents) if self.documents else 0
        return [
            sum(self._part(word, counts, len(words), mean) for word in query)
            for words, counts in zip(self.documents, self._counts, strict=True)
        ]

    def _part(self, word: str, counts: Counter[str], length: int, mean: float) -> float:
        """Return what a word of the query adds to a document's score."""
        if not counts[word]:
            return 0.0
        norm = self.k1 * (1 - self.b + self.b * length / mean)
        return self.weight(word) * counts[word] * (self.k1 + 1) / (counts[word] + norm)
