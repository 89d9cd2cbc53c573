"""BLEU, chrF++ and TER of answers, by sacrebleu, with the signature that says how they were computed.

The figure of all rows is computed from sums over them and is no mean; the score of a row is sacrebleu's of a sentence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, ClassVar, Literal

from potstill.metrics.measures.measure import CorpusMeasure, Gold, Row, Score, golds_of
from potstill.metrics.translation import missing_sacrebleu

Kind = Literal["BLEU", "CHRF", "TER"]
Options = tuple[tuple[str, Any], ...]


class _SacreMeasure(CorpusMeasure, ABC):
    """What the three have in common."""

    largest: ClassVar[float | None] = 100.0

    @property
    @abstractmethod
    def _metric(self) -> tuple[Kind, Options]:
        """The name of sacrebleu's class, and its options."""

    @property
    def _of_a_row(self) -> Options:
        """The options of the score of a row."""
        return self._metric[1]

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return sacrebleu's score of one sentence.

        Raises:
            MissingExtra: sacrebleu is not installed.
        """
        return float(_made(self._metric[0], self._of_a_row).sentence_score(answer, list(golds_of(gold))).score)

    def counts(self, answers: Sequence[str], golds: Sequence[Gold]) -> list[list[float]]:
        """Return what sacrebleu sums up, of each row."""
        metric = _made(*self._metric)
        # no public function of sacrebleu gives the counts row by row, which a bootstrap needs
        statistics = metric._extract_corpus_statistics(list(answers), _streams(golds))
        return [list(map(float, row)) for row in statistics]

    def figure(self, sums: Sequence[float]) -> float:
        """Return the figure that the sums over some rows make."""
        return float(_made(*self._metric)._compute_score_from_stats(list(sums)).score)

    def corpus(self, answers: Sequence[str], golds: Sequence[Gold]) -> Score:
        """Return the figure of all rows, with sacrebleu's signature.

        Raises:
            MissingExtra: sacrebleu is not installed.
        """
        metric = _made(*self._metric)
        value = metric.corpus_score(list(answers), _streams(golds)).score
        return Score(float(value), str(metric.get_signature()))


@dataclass(frozen=True)
class BLEU(_SacreMeasure):
    """Corpus BLEU, from 0 to 100.

    K. Papineni, S. Roukos, T. Ward and W.-J. Zhu, "BLEU: a method for automatic evaluation of machine translation", ACL
    2002, section 2, as M. Post, "A call for clarity in reporting BLEU scores", WMT 2018, fixed it. The score of a row
    leaves out orders that the sentence is too short for.

    >>> round(BLEU().corpus(["the cat sat on the mat"], ["the cat sat on a mat"]).value, 1)
    53.7
    """

    lowercase: bool = False
    """Whether upper and lower case are the same."""
    tokenize: Literal["13a", "intl", "char", "none"] = "13a"
    """How texts are cut into words: as the WMT does, by Unicode, by letters, or at spaces."""

    @property
    def name(self) -> str:
        """`bleu`."""
        return "bleu"

    @property
    def _metric(self) -> tuple[Kind, Options]:
        return "BLEU", (("lowercase", self.lowercase), ("tokenize", self.tokenize))

    @property
    def _of_a_row(self) -> Options:
        return (*self._metric[1], ("effective_order", True))


@dataclass(frozen=True)
class ChrF(_SacreMeasure):
    """Corpus chrF++, from 0 to 100: the F2 of shared runs of letters and words.

    M. Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015, and "chrF++: words helping
    character n-grams", WMT 2017.

    >>> round(ChrF().corpus(["the cat sat on the mat"], ["the cat sat on a mat"]).value, 1)
    72.0
    """

    word_order: int = 2
    """Longest runs of words; 2 is chrF++, and 0 is chrF."""
    lowercase: bool = False
    """Whether upper and lower case are the same."""

    @property
    def name(self) -> str:
        """`chrf`, with a plus for each order of words."""
        return "chrf" + "+" * self.word_order

    @property
    def _metric(self) -> tuple[Kind, Options]:
        return "CHRF", (("lowercase", self.lowercase), ("word_order", self.word_order))


@dataclass(frozen=True)
class TER(_SacreMeasure):
    """Translation edit rate: edits that make an answer the right one, by its words, in percent; lower is better.

    M. Snover, B. Dorr, R. Schwartz, L. Micciulla and J. Makhoul, "A study of translation edit rate with targeted human
    annotation", AMTA 2006. It may be above 100. Time grows with both lengths: a thousand words take a second.

    >>> round(TER().corpus(["the cat sat on the mat"], ["the cat sat on a mat"]).value, 1)
    16.7
    """

    higher_is_better: ClassVar[bool] = False
    largest: ClassVar[float | None] = None

    case: bool = False
    """Whether upper and lower case differ."""
    normalized: bool = False
    """Whether texts are cut into words as Snover's program does."""
    asian: bool = False
    """Whether each letter of Chinese, Japanese and Korean is a word of its own; only with `normalized`."""

    @property
    def name(self) -> str:
        """`ter`."""
        return "ter"

    @property
    def _metric(self) -> tuple[Kind, Options]:
        return "TER", (
            ("case_sensitive", self.case),
            ("normalized", self.normalized),
            ("asian_support", self.asian),
        )


def needs_sacrebleu(measure: object) -> bool:
    """Return whether a measure is one of these."""
    return isinstance(measure, _SacreMeasure)


@lru_cache(maxsize=16)
def _made(kind: Kind, options: Options) -> Any:
    """Return sacrebleu's metric.

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    missing = missing_sacrebleu(kind)
    if missing is not None:
        raise missing
    from sacrebleu import metrics

    return getattr(metrics, kind)(**dict(options))


def _streams(golds: Sequence[Gold]) -> list[list[str | None]]:
    """Return right answers as sacrebleu takes them: the first of each row, the second of each, with None for none."""
    return [list(stream) for stream in zip_longest(*map(golds_of, golds))]
