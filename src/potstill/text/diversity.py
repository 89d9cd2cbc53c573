"""How varied a set of texts is: distinct n-grams, similarity within the set, lengths.

Shapes: N texts.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.text.ngrams import ngrams

PENDING = 2**20
"""N-grams that are held before they are merged with the distinct ones."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of a distribution of lengths."""


@dataclass
class DistinctNgrams:
    """Counts the distinct n-grams of a stream of texts, at 8 bytes each.

    Li et al. 2016, "A diversity-promoting objective function for neural conversation models", section 5.3 (distinct-1
    and distinct-2). The paper divides by the number of words; this divides by the number of n-grams, as most do since,
    so that 1 means that no n-gram occurs twice, whatever n is.
    """

    n: int
    total: int = 0
    """N-grams seen."""
    _pending: array[int] = field(default_factory=lambda: array("Q"))
    _known: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def add(self, words: Sequence[str]) -> None:
        """Count the n-grams of one text."""
        marks = b"".join(hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in ngrams(words, self.n))
        self._pending.frombytes(marks)
        self.total += len(marks) // 8
        if len(self._pending) >= PENDING:
            self._merge()

    @property
    def distinct(self) -> int:
        """How many different n-grams there were."""
        self._merge()
        return len(self._known)

    @property
    def share(self) -> float:
        """Different n-grams by n-grams; 0 if there were none."""
        return self.distinct / self.total if self.total else 0.0

    def _merge(self) -> None:
        self._known = np.unique(np.concatenate([self._known, np.frombuffer(self._pending, np.uint64)]))
        self._pending = array("Q")


def mean_rouge_l(texts: Sequence[Sequence[str]]) -> float:
    """Return the mean ROUGE-L F of all pairs of `texts` (words), N > 1; pairs without words count as 0.

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1, equations 2 to 4 with beta = 1:
    F = 2 LCS / (m + n), which is symmetric.
    """
    scores = []
    for place, words in enumerate(texts):
        masks: dict[str, int] = {}
        for position, word in enumerate(words):
            masks[word] = masks.get(word, 0) | 1 << position
        scores += [_rouge_l(masks, len(words), others) for others in texts[:place]]
    return math.fsum(scores) / len(scores)


def _rouge_l(masks: Mapping[str, int], m: int, words: Sequence[str]) -> float:
    """Return ROUGE-L F of a text of m words, of which `masks` says where each word is, and another.

    The longest common subsequence by Hyyrö 2004, "Bit-parallel LCS-length computation revisited", figure 3, on Python's
    integers, which are as wide as the text is long.
    """
    everywhere = (1 << m) - 1
    vector = everywhere
    for word in words:
        match = vector & masks.get(word, 0)
        vector = ((vector + match) | (vector - match)) & everywhere
    common = m - vector.bit_count()
    return 2 * common / (m + len(words)) if common else 0.0


def histogram(values: Iterable[float], bins: int = 10) -> list[int]:
    """Return how many of the `values` (0 to 1) fall into each of `bins` equal parts; 1 is in the last.

    >>> histogram([0.0, 0.05, 0.1, 1.0])
    [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    """
    counts = Counter(min(int(value * bins + 1e-9), bins - 1) for value in values)
    return [counts[number] for number in range(bins)]


def distribution(counts: Mapping[int, int]) -> dict[str, Any]:
    """Return the mean, the extremes and quantiles of lengths, given how often each occurs.

    Quantiles are the smallest length that at least that share of the texts does not exceed (Hyndman and Fan 1996,
    "Sample quantiles in statistical packages", definition 1).
    """
    ordered, total = sorted(counts), sum(counts.values())
    quantiles, passed = {}, 0
    waiting = list(SHARES)
    for length in ordered:
        passed += counts[length]
        while waiting and passed >= waiting[0] * total:
            quantiles[f"p{100 * waiting.pop(0):.0f}"] = length
    mean = sum(length * count for length, count in counts.items()) / total
    return {"mean": mean, "min": ordered[0], **quantiles, "max": ordered[-1]}
