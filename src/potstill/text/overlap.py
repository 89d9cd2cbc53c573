"""Overlap of training texts with evaluation texts: equal, or n words in a row.

Brown et al. 2020, "Language models are few-shot learners", appendix C: texts that share 13 words in a row with an
evaluation set are taken out; evaluation texts shorter than that are looked for with fewer words, but no fewer than 8,
below which what is shared is mostly chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from potstill.text.ngrams import ngrams
from potstill.text.words import words_of


@dataclass(frozen=True)
class Overlap:
    """What a text shares with an evaluation text."""

    words: int
    """Words in a row that are shared; 0 if the texts are equal."""
    text: str
    """The shared words."""
    owner: str
    """Name of the evaluation text."""


@dataclass
class EvaluationTexts:
    """The evaluation texts, ready to be looked for."""

    ngram: int
    """Shared words in a row that count as overlap; 0 lets only equal texts count."""
    shortest: int
    """Words from which an evaluation text that is shorter than `ngram` is looked for inside others."""
    _whole: dict[str, str] = field(default_factory=dict)
    _grams: dict[str, str] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)

    def add(self, text: object, owner: str) -> None:
        """Add an evaluation text; of several that share words, the first is named."""
        words = words_of(text)
        if not words:
            return  # an empty evaluation text is a gap in the set, no leak
        self._whole.setdefault(" ".join(words), owner)
        n = min(self.ngram, len(words))
        if n and n >= min(self.shortest, self.ngram):
            self._lengths.add(n)
            for gram in ngrams(words, n):
                self._grams.setdefault(gram, owner)

    def overlap(self, text: object) -> Overlap | None:
        """Return what `text` shares with an evaluation text, the longest run first, or nothing."""
        words = words_of(text)
        whole = " ".join(words)
        if whole in self._whole:
            return Overlap(0, whole, self._whole[whole])
        for n in sorted(self._lengths, reverse=True):
            for gram in ngrams(words, n):
                if gram in self._grams:
                    return Overlap(n, gram, self._grams[gram])
        return None
