"""Near copies in a stream of texts: MinHash and locality-sensitive hashing propose them, exact resemblance decides.

Broder 1997, "On the resemblance and containment of documents", section 3 (the share of equal minima estimates the
Jaccard similarity of the sets); Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4 (banding).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from potstill.text.ngrams import Unit, jaccard, shingles

BATCH = 1000
"""Texts whose minima are taken together."""
REMEMBERED = 4096
"""Sets of n-grams of earlier texts that are kept; others are recomputed when they are proposed."""
MOST_MISSED = 0.001
"""Share of the pairs right at the threshold that the bands may fail to propose; pairs above it are missed less."""


@dataclass(frozen=True)
class Alike:
    """An earlier text that a text is like."""

    number: int
    """Place of the earlier text."""
    similarity: float
    """How alike they are."""


@dataclass(frozen=True)
class NearCopies:
    """What counts as a near copy, and how it is looked for."""

    threshold: float
    """Jaccard similarity of the sets of n-grams from which two texts are near copies."""
    ngram: int
    """Words or characters of an n-gram."""
    unit: Unit = "word"
    """What an n-gram is made of."""
    permutations: int = 128
    """Minima a text."""
    seed: int = 0
    """Of the hash functions."""

    def find(self, texts: Iterable[str], text_at: Callable[[int], str]) -> Iterator[Alike | None]:
        """Yield for each text the first earlier one that it is a near copy of; near copies are not compared with.

        Only the minima are remembered: `text_at` returns an earlier text by its number.
        """
        from rensa import RMinHash, RMinHashLSH

        index = RMinHashLSH(self.threshold, self.permutations, bands(self.threshold, self.permutations))
        earlier = lru_cache(REMEMBERED)(lambda number: shingles(text_at(number), self.ngram, self.unit))
        rest, number = iter(texts), 0
        while batch := [shingles(text, self.ngram, self.unit) for text in itertools.islice(rest, BATCH)]:
            signatures = RMinHash.from_token_sets([list(grams) for grams in batch], self.permutations, self.seed)
            for grams, signature in zip(batch, signatures, strict=True):
                # sorted: the index answers in no fixed order, and the first earlier text is wanted
                like = self._first(grams, sorted(index.query(signature)), earlier)
                if like is None:
                    index.insert(number, signature)
                yield like
                number += 1

    def _first(
        self, grams: frozenset[str], proposed: Iterable[int], earlier: Callable[[int], frozenset[str]]
    ) -> Alike | None:
        """Return the first of the proposed texts that is alike indeed."""
        for number in proposed:
            similarity = jaccard(grams, earlier(number))
            if similarity >= self.threshold:
                return Alike(number, similarity)
        return None


def bands(threshold: float, permutations: int) -> int:
    """Return the fewest bands that propose all but `MOST_MISSED` of the pairs right at the threshold.

    With b bands of r minima a pair of similarity s is proposed with probability 1 - (1 - s^r)^b; fewer bands propose
    fewer pairs that are not alike.

    >>> bands(0.8, 128), bands(0.5, 128)
    (32, 64)
    """
    for count in range(1, permutations + 1):
        rows, left = divmod(permutations, count)
        if not left and (1 - threshold**rows) ** count <= MOST_MISSED:
            return count
    return permutations
