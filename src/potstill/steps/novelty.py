"""Novelty of a text against a growing pool: the largest ROUGE-L F-measure, by bit-parallel longest common subsequence.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1 (ROUGE-L); Hyyrö 2004, "Bit-parallel
LCS-length computation revisited", and Crochemore et al. 2001, "A fast and practical bit-vector algorithm for the
longest common subsequence problem" (the recurrence). Scores equal those of the package `rouge_score` without stemmer.

Shapes: P texts of a bucket, L its longest text in tokens, W words of 64 bits that hold the m tokens of the candidate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

WORD = 64
"""Bits of a word, and so tokens of the candidate that one word handles."""
BUCKET = 8
"""Texts whose lengths differ by less than this share a bucket; shorter ones are padded."""
PAD = 0
"""Token id that matches nothing."""


def tokens_of(text: str) -> list[str]:
    """Return the words of `text` as `rouge_score` cuts them: lower case, runs of ASCII letters and digits."""
    return re.findall(r"[a-z0-9]+", text.lower())


@dataclass
class _Bucket:
    """Texts of similar length, a column a text, so that one position of all of them is contiguous."""

    ids: NDArray[np.int32]
    """[L, capacity] token ids, padded by `PAD`."""
    lengths: NDArray[np.int64]
    """[capacity] tokens of each text."""
    owners: NDArray[np.int64]
    """[capacity] number of each text in the pool."""
    size: int = 0

    def add(self, ids: list[int], owner: int) -> None:
        """Append a text, doubling the room if need be."""
        if self.size == len(self.lengths):
            self.ids = np.concatenate([self.ids, np.full_like(self.ids, PAD)], axis=1)
            self.lengths = np.concatenate([self.lengths, np.zeros_like(self.lengths)])
            self.owners = np.concatenate([self.owners, np.zeros_like(self.owners)])
        self.ids[: len(ids), self.size] = ids
        self.lengths[self.size] = len(ids)
        self.owners[self.size] = owner
        self.size += 1


@dataclass
class RougePool:
    """A pool of texts that answers how similar a new one is to the most similar one in it."""

    threshold: float = 0.0
    """Similarity from which scores are exact; texts whose lengths rule it out are skipped."""
    _vocabulary: dict[str, int] = field(default_factory=dict)
    _buckets: dict[int, _Bucket] = field(default_factory=dict)
    _masks: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((1, 1024), np.uint64))
    _size: int = 0

    def __len__(self) -> int:
        """Return how many texts are in the pool."""
        return self._size

    def add(self, text: str) -> None:
        """Put `text` into the pool."""
        ids = [self._vocabulary.setdefault(token, len(self._vocabulary) + 1) for token in tokens_of(text)]
        if ids:
            number = (len(ids) - 1) // BUCKET
            if number not in self._buckets:
                self._buckets[number] = _Bucket(
                    np.full(((number + 1) * BUCKET, 64), PAD, np.int32), np.zeros(64, np.int64), np.zeros(64, np.int64)
                )
            self._buckets[number].add(ids, self._size)
        self._size += 1

    def nearest(self, text: str) -> tuple[float, int]:
        """Return the largest ROUGE-L F of `text` against the pool and the number of the text that has it.

        A score below `threshold` says only that none reaches it; the number is -1 when none came near.
        """
        tokens = tokens_of(text)
        best, owner = 0.0, -1
        if not tokens or not self._buckets:
            return best, owner
        masks = self._mark(tokens)
        for bucket in self._buckets.values():
            lengths = bucket.lengths[: bucket.size]
            near = self._long_enough(lengths, len(tokens))
            if not near.size:
                continue
            whole = near.size == bucket.size
            ids = bucket.ids[: lengths[near].max(), : bucket.size] if whole else bucket.ids[: lengths[near].max(), near]
            scores = f_measure(common(masks, ids, len(tokens)), len(tokens), lengths[near])
            place = int(scores.argmax())
            if scores[place] > best:
                best, owner = float(scores[place]), int(bucket.owners[near[place]])
        self._masks[:, [self._vocabulary.get(token, PAD) for token in tokens]] = 0
        return best, owner

    def _long_enough(self, lengths: NDArray[np.int64], m: int) -> NDArray[np.int64]:
        """Return the texts that can pass the threshold: F <= 2 min(m, n) / (m + n)."""
        bound = 2.0 * np.minimum(lengths, m) / (lengths + m)
        return np.flatnonzero(bound >= self.threshold - 1e-9)

    def _mark(self, tokens: list[str]) -> NDArray[np.uint64]:
        """Return [W, vocabulary] where bit i of a token's mask says that the candidate's token i is it."""
        words = -(-len(tokens) // WORD)
        rows, columns = self._masks.shape
        if words > rows or len(self._vocabulary) >= columns:
            self._masks = np.zeros((max(words, rows), max(2 * len(self._vocabulary), columns)), np.uint64)
        for place, token in enumerate(tokens):
            number = self._vocabulary.get(token)
            if number is not None:
                self._masks[place // WORD, number] |= np.uint64(1 << (place % WORD))
        return self._masks[:words]


def common(masks: NDArray[np.uint64], ids: NDArray[np.int32], m: int) -> NDArray[np.int64]:
    """Return [P], the length of the longest common subsequence of the candidate and each text of `ids` [L, P].

    Hyyrö 2004, figure 3: with V all ones, for each token of the text U = V & M, V = (V + U) | (V & ~M); the answer is
    the number of zeros among the low `m` bits of V. Sums carry from one word to the next.
    """
    words, texts = len(masks), ids.shape[1]
    vector = np.full((words, texts), np.uint64(0xFFFFFFFFFFFFFFFF))
    for column in ids:
        carry: NDArray[np.uint64] | None = None
        for word in range(words):
            match, v = masks[word][column], vector[word]
            u = v & match
            total = v + u
            if words > 1:
                over = total < v
                if carry is not None:
                    total += carry
                    over |= (total == 0) & (carry == 1)
                carry = over.astype(np.uint64)
            vector[word] = total | (v & ~match)
    zeros = np.zeros(texts, np.int64)
    for word in range(words):
        used = min(WORD, m - word * WORD)
        low = np.uint64((1 << used) - 1)
        zeros += used - np.bitwise_count(vector[word] & low).astype(np.int64)
    return zeros


def f_measure(lcs: NDArray[np.int64], m: int, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ROUGE-L F [P] by the very operations of `rouge_score`, so that no comparison falls otherwise.

    Lin 2004, equations 2 to 4 with beta = 1.
    """
    precision, recall = lcs / lengths, lcs / m
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
