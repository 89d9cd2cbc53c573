"""Test texts that stand in training texts: as they are, in part, or nearly.

In part: Brown et al. 2020, "Language models are few-shot learners", appendix C (n words in a row; see `overlap`).
Nearly: Jaccard similarity of the sets of n-grams (Broder 1997), all pairs at the threshold, none missed: a pair shares
one of the rarest n-grams of the test text (prefix filter; Bayardo, Ma and Srikant 2007, "Scaling up all pairs
similarity search").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from potstill.text.ngrams import jaccard, ngrams, normal, shingles

HOW = ("exact", "ngram", "near")
"""How a test text can stand in a training text."""


@dataclass
class Found:
    """Where a test text was found: the training text's name for each way; None where it was not found so."""

    exact: str | None = None
    """It is equal, but for case, spacing and punctuation."""
    ngram: str | None = None
    """It shares words in a row."""
    shared: str | None = None
    """These words."""
    near: str | None = None
    """It shares most n-grams; of several training texts the most similar one."""
    similarity: float | None = None
    """Their Jaccard similarity."""


class TestTexts:
    """Test texts, for which training texts are looked through one by one; memory grows with the test texts alone."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    def __init__(self, texts: Sequence[object], ngram: int, shortest: int, near: float, near_ngram: int) -> None:
        """Take the texts.

        Args:
            texts: the test texts; one without a word is found nowhere.
            ngram: shared words in a row that count; 0 looks for none.
            shortest: words from which a text that is shorter than `ngram` is looked for as a whole.
            near: Jaccard similarity from which texts are nearly the same; 0 looks for none.
            near_ngram: words of an n-gram for that similarity.
        """
        self.found = [Found() for _ in texts]
        self._near, self._near_ngram = near, near_ngram
        self._texts = [normal(text) for text in texts]
        self._whole: dict[str, list[int]] = {}
        self._grams: dict[str, list[int]] = {}
        self._lengths: set[int] = set()
        self._seen: set[str] = set()
        for number, text in enumerate(self._texts):
            words = text.split()
            if not words:
                continue
            self._whole.setdefault(text, []).append(number)
            n = min(ngram, len(words))
            if n and n >= min(shortest, ngram):
                self._lengths.add(n)
                for gram in set(ngrams(words, n)):
                    self._grams.setdefault(gram, []).append(number)

    def look(self, text: object, name: str) -> set[str]:
        """Note which test texts stand in the training text `name`; return in which of the ways any of them does."""
        words = normal(text).split()
        if not words:
            return set()
        ways = set()
        whole = " ".join(words)
        if whole in self._whole:
            ways.add("exact")
            self._note_equal(whole, name)
        for gram in self._shared(words):
            ways.add("ngram")
            self._note_shared(gram, name)
        if self._near and self._note_near(shingles(text, self._near_ngram), name):
            ways.add("near")
        return ways

    def _shared(self, words: Sequence[str]) -> Iterator[str]:
        """Yield the words in a row that test texts have, too."""
        return (gram for n in sorted(self._lengths, reverse=True) for gram in ngrams(words, n) if gram in self._grams)

    def _note_equal(self, whole: str, name: str) -> None:
        """Note the first training text that equals test texts."""
        for number in self._whole[whole]:
            if self.found[number].exact is None:
                self.found[number].exact = name

    def _note_shared(self, gram: str, name: str) -> None:
        """Note the first training text that has words of test texts; each n-gram once, as all may share some."""
        if gram in self._seen:
            return
        self._seen.add(gram)
        for number in self._grams[gram]:
            if self.found[number].ngram is None:
                self.found[number].ngram, self.found[number].shared = name, gram

    def _note_near(self, grams: frozenset[str], name: str) -> bool:
        """Note the most similar training text of test texts; return whether this one is near any."""
        by_gram, sets = self._rare
        is_near = False
        for number in {number for gram in grams for number in by_gram.get(gram, ())}:
            similarity = jaccard(grams, sets[number])
            is_near = is_near or similarity >= self._near
            if similarity >= self._near and similarity > (self.found[number].similarity or 0):
                self.found[number].near, self.found[number].similarity = name, similarity
        return is_near

    @cached_property
    def _rare(self) -> tuple[dict[str, list[int]], list[frozenset[str]]]:
        """The test texts by their rarest n-grams, one of which each near text has, and the n-grams of each."""
        sets = [shingles(text, self._near_ngram) for text in self._texts]
        counts = Counter(gram for grams in sets for gram in grams)
        by_gram: dict[str, list[int]] = {}
        for number, grams in enumerate(sets):
            # a near text shares at least this many, so it misses fewer than the rest and one more
            least = math.ceil(self._near * len(grams) - 1e-9)
            for gram in sorted(grams, key=lambda gram: (counts[gram], gram))[: len(grams) - least + 1]:
                by_gram.setdefault(gram, []).append(number)
        return by_gram, sets
