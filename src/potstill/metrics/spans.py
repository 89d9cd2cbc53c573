"""Labelled words as spans, and how many of them are found: pure functions.

The convention is that of the CoNLL-2000 task and its script `conlleval`, which seqeval follows unless it is set to
strict: a span is right if its first word, its last word and its type are (E. F. Tjong Kim Sang and S. Buchholz,
"Introduction to the CoNLL-2000 Shared Task: Chunking", 2000, arXiv cs/0009008, section 3).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.metrics.classification import ClassScore, score_of

OUTSIDE = "O"
"""Label of a word that is in no span."""
UNTYPED = "_"
"""Type of spans whose labels name none."""
_PARTS = re.compile(r"([BIESLU])-(.+)|([BI])")
_AS_IOBES = {"L": "E", "U": "S"}


@dataclass(frozen=True)
class Span:
    """Words that belong together."""

    start: int
    """Place of the first word."""
    end: int
    """Place after the last one."""
    label: str
    """Their type."""


@dataclass(frozen=True)
class SpanScores:
    """How well spans are found."""

    total: ClassScore
    """Of all spans together, whatever their type: micro-averaged."""
    types: list[ClassScore]
    """Of each type that is expected or named, by name."""


def spans(tags: Sequence[str]) -> list[Span]:
    """Return the spans that the labels of a text's words stand for.

    Labels are B-type and I-type (Ramshaw and Marcus 1995, arXiv cmp-lg/9505040: `B` need only be where two spans
    touch), with E- and S-, or L- and U-, for a span's last and only word if there are such, and O. An inside word that
    no span of its type goes before begins one. Labels in no such form are types without a place: a run of the same one
    is a span.

    >>> spans(["B-NP", "I-NP", "B-NP", "O", "I-VP"])
    [Span(start=0, end=2, label='NP'), Span(start=2, end=3, label='NP'), Span(start=4, end=5, label='VP')]
    """
    result: list[Span] = []
    start, within, complete = 0, "", False
    for place, tag in enumerate([*tags, OUTSIDE]):
        position, label = _parts(tag)
        if within and (complete or position in ("B", "S") or label != within):
            result.append(Span(start, place, within))
            within = ""
        if not within:
            start, within = place, label
        complete = position in ("E", "S")
    return result


def _parts(tag: str) -> tuple[str, str]:
    """Return where in a span a word is, and the type of the span, which is empty outside of any."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    match = _PARTS.fullmatch(tag)
    if match is None:
        return "I", tag
    position = match[1] or match[3]
    return _AS_IOBES.get(position, position), match[2] or UNTYPED


def span_scores(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> SpanScores:
    """Return precision, recall and F1 of the spans in the labels of some texts.

    Reference: Tjong Kim Sang and Buchholz 2000, section 3: precision is the share of the spans named that are right,
    recall the share of those expected, and F1 their harmonic mean; the total is over the spans of all types.

    >>> scores = span_scores([["B-A", "I-A", "O", "B-B"]], [["B-A", "O", "O", "B-B"]])
    >>> scores.total.f1, [(score.label, score.f1) for score in scores.types]
    (0.5, [('A', 0.0), ('B', 1.0)])
    """
    there, named, right = Counter[str](), Counter[str](), Counter[str]()
    for expected_tags, predicted_tags in zip(expected, predicted, strict=True):
        wanted, predicted_spans = spans(expected_tags), spans(predicted_tags)
        there.update(span.label for span in wanted)
        named.update(span.label for span in predicted_spans)
        right.update(span.label for span in set(wanted) & set(predicted_spans))
    types = [score_of(label, there[label], named[label], right[label]) for label in sorted({*there, *named})]
    return SpanScores(score_of("", there.total(), named.total(), right.total()), types)


def f1_of_sums(sums: Sequence[float]) -> float:
    """Return F1 from numbers of spans, summed over texts: right, found, there.

    >>> f1_of_sums([1, 1, 3])
    0.5
    """
    right, predicted, gold = sums
    return 2 * right / (predicted + gold) if predicted + gold else 0.0
