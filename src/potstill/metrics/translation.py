"""How alike translations and their references are: BLEU and chrF, by sacrebleu."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from potstill.errors import MissingExtra


@dataclass(frozen=True)
class Translation:
    """Figures of a set of translations, from 0 to 100."""

    bleu: float
    """Corpus BLEU (Papineni et al. 2002)."""
    chrf: float
    """Corpus chrF2 (Popovic 2015)."""
    length_ratio: float
    """Tokens of the translations by those of the references; below 1, BLEU has its brevity penalty."""
    signature: str
    """How BLEU was computed, as one reports it beside the score (Post 2018)."""


def missing_sacrebleu(feature: str) -> MissingExtra | None:
    """Return the error that `feature` can't be had without sacrebleu, if that is not installed; imports nothing."""
    return None if importlib.util.find_spec("sacrebleu") else MissingExtra(feature, "sacrebleu", "data")


def corpus_scores(translations: Sequence[str], references: Sequence[str], lowercase: bool = False) -> Translation:
    """Return BLEU and chrF of `translations` against one reference each.

    BLEU is that of K. Papineni, S. Roukos, T. Ward and W.-J. Zhu, "BLEU: a method for automatic evaluation of machine
    translation", ACL 2002, section 2, over the tokens that the WMT's script 13a makes; chrF that of M. Popovic, "chrF:
    character n-gram F-score for automatic MT evaluation", WMT 2015; both as M. Post, "A call for clarity in reporting
    BLEU scores", WMT 2018, fixed them.
    """
    from sacrebleu.metrics import BLEU, CHRF

    metric = BLEU(lowercase=lowercase)
    bleu = metric.corpus_score(list(translations), [list(references)])
    chrf = CHRF(lowercase=lowercase).corpus_score(list(translations), [list(references)])
    ratio = bleu.sys_len / max(1, bleu.ref_len)
    return Translation(bleu.score, chrf.score, ratio, str(metric.get_signature()))


def sentence_scores(translations: Sequence[str], references: Sequence[str], lowercase: bool = False) -> list[float]:
    """Return chrF of each sentence, by which two systems can be compared row by row: BLEU has no such mean."""
    from sacrebleu.metrics import CHRF

    metric = CHRF(lowercase=lowercase)
    pairs = zip(translations, references, strict=True)
    return [round(float(metric.sentence_score(translation, [reference]).score), 2) for translation, reference in pairs]


def sentence_bleu(translation: str, reference: str) -> float:
    """Return the smoothed BLEU of one sentence, from 0 to 100.

    B. Chen and C. Cherry, "A systematic comparison of smoothing techniques for sentence-level BLEU", WMT 2014: their
    method 3, and orders that the sentence is too short for left out.
    """
    return float(_sentence_metric().sentence_score(translation, [reference]).score)


@lru_cache(maxsize=1)
def _sentence_metric() -> Any:
    """Return the metric of sentences."""
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True, smooth_method="exp")
