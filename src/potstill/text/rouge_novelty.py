"""Novelty of a text against a growing pool: the largest ROUGE-L F-measure, in three ever finer looks.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1 (ROUGE-L). On English prose, scores
equal those of the package `rouge_score` without stemmer; symbols that mean something and words of other scripts, which
it drops, count too (`potstill.text.words`). A longest common subsequence is no longer than the words that two texts
share, each counted as often as both have it, so an inverted index over the candidate's rarest words finds the few texts
that can reach the threshold (the prefix filter of Bayardo et al. 2007, "Scaling up all pairs similarity search",
section 4, as in Xiao et al. 2008, "Efficient similarity joins for near duplicate detection", section 3), and only on
those the subsequence itself is computed, by `bit_lcs`.

A term is a word with the number of times it came before in its text ("the", "the 1"), so that what two texts share as
multisets is what they share as sets of terms. Shapes: P texts of the pool, S of them looked at together, L tokens of
the longest, m tokens of the candidate.
"""

from __future__ import annotations

import math
import sys
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.text.bit_lcs import common, match_masks
from potstill.text.words import words_of

CHUNK = 2048
"""Texts whose tokens are looked at together; bounds the memory that a question takes."""
SLACK = 1e-9
"""What rounding may add to a bound."""
PAD = 0
"""Term and token that no text has."""


def terms_of(tokens: list[str]) -> list[str]:
    """Return the terms of a text, one a token.

    >>> terms_of(["the", "cat", "the", "the"])
    ['the', 'cat', 'the 1', 'the 2']
    """
    seen: dict[str, int] = {}  # a `Counter` takes three times as long
    terms = []
    for token in tokens:
        count = seen.get(token, 0)
        terms.append(f"{token} {count}" if count else token)
        seen[token] = count + 1
    return terms


@dataclass(frozen=True)
class _Candidate:
    """A text that is compared with the pool."""

    length: int
    """m, its tokens."""
    terms: list[int]
    """Those of its terms that the pool knows."""
    local: dict[int, int]
    """Its own numbers, from 1 on, of those of its tokens that the pool knows."""
    masks: NDArray[np.uint64]
    """Where its tokens stand, by these numbers."""


@dataclass
class RougePool:
    """A pool of texts that answers how similar a new one is to the most similar one in it.

    >>> pool = RougePool(0.7)
    >>> pool.add("Turn on the lamp in the kitchen")
    >>> pool.nearest("turn on the lamp in the hall")
    (0.8571428571428571, 0)
    """

    threshold: float = 0.0
    """Similarity from which scores are exact; texts that can't reach it are skipped."""
    _numbers: dict[str, int] = field(default_factory=dict)  # number of each term, from 1 on
    _tokens: array[int] = field(default_factory=lambda: array("i", [PAD]))  # by term, the number of its token
    _postings: list[array[int]] = field(default_factory=lambda: [array("i")])  # by term, the texts that have it
    _terms: array[int] = field(default_factory=lambda: array("i"))  # the terms of all texts, one text after the other
    _starts: array[int] = field(default_factory=lambda: array("q"))  # by text, where its terms start
    _lengths: array[int] = field(default_factory=lambda: array("i"))  # by text
    _marks: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1024, np.int32))  # by term, for one question

    def __len__(self) -> int:
        """Return how many texts are in the pool."""
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Return about how many bytes the pool holds: 8 a token, 12 a text, some 250 a term."""
        flat = (self._tokens, self._terms, self._starts, self._lengths)
        held = sum(values.itemsize * len(values) for values in flat) + self._marks.nbytes
        held += sum(sys.getsizeof(values) for values in self._postings) + sys.getsizeof(self._postings)
        return held + sys.getsizeof(self._numbers) + 90 * len(self._numbers)

    def add(self, text: str) -> None:
        """Put `text` into the pool."""
        tokens, owner = words_of(text), len(self._lengths)
        self._starts.append(len(self._terms))
        self._lengths.append(len(tokens))
        for token, term in zip(tokens, terms_of(tokens), strict=True):
            number = self._numbers.get(term) or self._new(token, term)
            self._terms.append(number)
            self._postings[number].append(owner)

    def nearest(self, text: str) -> tuple[float, int]:
        """Return the largest ROUGE-L F of `text` against the pool and the number of the text that has it.

        A score below `threshold` says only that none reaches it; the number is -1 when none came near.
        """
        candidate = self._candidate(text)
        texts = self._sharing(candidate)
        best, owner = 0.0, -1
        for start in range(0, len(texts), CHUNK):
            score, number = self._closest(candidate, texts[start : start + CHUNK], max(best, self.threshold))
            if score > best:
                best, owner = score, number
        return best, owner

    def _new(self, token: str, term: str) -> int:
        """Number a term that is new."""
        number = self._numbers[term] = len(self._numbers) + 1
        self._tokens.append(number if term == token else self._numbers[token])
        self._postings.append(array("i"))
        if number >= len(self._marks):
            self._marks = np.zeros(2 * number, np.int32)
        return number

    def _candidate(self, text: str) -> _Candidate:
        """Look up the words of `text`."""
        tokens = words_of(text)
        numbers = [self._numbers.get(token, PAD) for token in tokens]
        local = {number: place for place, number in enumerate(sorted(set(numbers) - {PAD}), 1)}
        terms = [self._numbers[term] for term in terms_of(tokens) if term in self._numbers]
        return _Candidate(len(tokens), terms, local, match_masks([local.get(number, PAD) for number in numbers]))

    def _sharing(self, candidate: _Candidate) -> NDArray[np.int64]:
        """Return the texts that may reach the threshold, the shorter ones first.

        F = 2 l / (m + n) with l <= n reaches t only from l >= t m / (2 - t) = k on; a text that has k of the q terms
        has at least one of any q - k + 1 of them, so the rarest are enough to find it.
        """
        m, terms = candidate.length, candidate.terms
        bar = max(self.threshold - SLACK, 0.0)
        least = max(1, math.ceil(bar * m / (2 - bar) - SLACK))
        if len(terms) < least:
            return np.zeros(0, np.int64)
        rare = sorted(terms, key=lambda term: len(self._postings[term]))[: len(terms) - least + 1]
        shared = np.bincount(np.concatenate([np.frombuffer(self._postings[term], np.int32) for term in rare]))
        texts = np.flatnonzero(shared)
        lengths = np.frombuffer(self._lengths, np.int32)[texts]
        most = np.minimum(shared[texts] + len(terms) - len(rare), lengths)
        able = f_measure(most, m, lengths) >= bar
        return np.asarray(texts[able][lengths[able].argsort(kind="stable")])

    def _closest(self, candidate: _Candidate, texts: NDArray[np.int64], bar: float) -> tuple[float, int]:
        """Return the largest score among `texts` [S], and whose it is; those that can't reach `bar` are skipped."""
        terms, lengths = self._gather(texts)
        shared = self._marked(dict.fromkeys(candidate.terms, 1), terms).sum(axis=0)
        able = np.flatnonzero(f_measure(shared, candidate.length, lengths) >= bar - SLACK)
        if not able.size:
            return 0.0, -1
        tokens = np.frombuffer(self._tokens, np.int32)[terms[: lengths[able].max(), able]]
        lcs = common(candidate.masks, self._marked(candidate.local, tokens), candidate.length)
        scores = f_measure(lcs, candidate.length, lengths[able])
        place = int(scores.argmax())
        return float(scores[place]), int(texts[able[place]])

    def _gather(self, texts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the terms [L, S] of `texts`, padded by `PAD`, and their lengths [S]."""
        lengths = np.frombuffer(self._lengths, np.int32)[texts]
        places = np.arange(lengths.max())[:, None] + np.frombuffer(self._starts, np.int64)[texts]
        terms = np.frombuffer(self._terms, np.int32).take(places, mode="clip")
        # a shorter text was read on into the next one, or, by mode="clip", at the end of all
        terms[np.arange(len(places))[:, None] >= lengths] = PAD
        return terms, lengths

    def _marked(self, marks: dict[int, int], numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return `marks` of each of `numbers`, 0 where it has none."""
        places = list(marks)
        self._marks[places] = list(marks.values())
        result = self._marks[numbers]
        # put back, so that a question costs its own words and not the vocabulary
        self._marks[places] = 0
        return np.asarray(result)


def f_measure(lcs: NDArray[Any], m: int, lengths: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return ROUGE-L F [S] by the very operations of `rouge_score`, so that no comparison falls otherwise.

    Lin 2004, equations 2 to 4 with beta = 1.
    """
    precision, recall = lcs / lengths, lcs / m
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
