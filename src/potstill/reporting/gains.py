"""What a model gains or loses against another on a test set, with its interval, and whether the loss is within a bound.

A gain is the model minus the other one, turned so that more is better: in shares, in points of chrF, or in nats a token
(the logarithm of the perplexities' ratio). Rows of both are paired where both kept them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from potstill.metrics.kept_rows import KeptRows
from potstill.metrics.significance import normal_p
from potstill.metrics.spans import f1_of_sums
from potstill.metrics.uncertainty.bootstrap import paired_bootstrap
from potstill.metrics.uncertainty.interval import Interval
from potstill.metrics.uncertainty.non_inferiority import (
    Verdict,
    least_rows,
    non_inferior_means,
    non_inferior_shares,
)
from potstill.metrics.uncertainty.paired_shares import discordant
from potstill.metrics.uncertainty.power import detectable
from potstill.metrics.uncertainty.ratios import ratio_scores
from potstill.metrics.uncertainty.unpaired_shares import agresti_caffo
from potstill.reporting.comparing import paired_scores, rights, sources_of
from potstill.reporting.kinds import Figure, number
from potstill.reporting.model_table import Measured
from potstill.reporting.number_formats import signed

SHARES = frozenset({"exact_match", "accuracy", "acc", "agreement"})
"""Figures that are shares of rows."""
LOGARITHMS = frozenset({"perplexity", "bits_per_byte"})
"""Figures that are compared by the loss of a token."""
PLAIN = {"bleu": "chrF", "grade": "grades"}
"""What a gain in figures that are no shares is counted in: BLEU is compared by the chrF of rows."""
By = Literal["paired shares", "clustered rows", "paired means", "paired bootstrap", "unpaired shares", "rows by seeds"]
"""How the interval is made; all but one pair the rows."""
Pairs = tuple[list[float], list[float], float | None]
"""Scores of two models on the same rows, more being better, and the most by which a row can differ, if it is known."""
UNPAIRED: Literal["unpaired shares"] = "unpaired shares"


@dataclass(frozen=True)
class Gain:
    """A model against another one on a test set."""

    set: str
    """The test set."""
    first: str
    """Label of the model."""
    second: str
    """Label of the one that it is held against."""
    difference: Interval
    """The model minus the other, with its 95 % interval; negative where it loses."""
    p: float
    """One-sided p that the model loses more than the bound."""
    margin: float
    """The bound, on the scale of the gain."""
    rows: int
    """Rows, or pairs of windows, behind it."""
    by: By
    """How the interval is made."""
    least: int = 0
    """From how many rows on the bound can be proven at all; 0 where that is not known."""
    seeds: int = 1
    """Models that were made alike but for their seeds, of which this is the mean."""

    @property
    def value(self) -> float:
        """Return the model minus the other."""
        return self.difference.value

    @property
    def low(self) -> float:
        """Return the lower end of the interval."""
        return self.difference.low

    @property
    def high(self) -> float:
        """Return the upper end of the interval."""
        return self.difference.high

    @property
    def p_more(self) -> float:
        """Return the one-sided p that the model loses less than the bound."""
        return 1 - self.p

    @property
    def is_paired(self) -> bool:
        """Return whether the rows were paired."""
        return self.by != UNPAIRED

    def smallest_margin(self, students: int) -> float:
        """Return the smallest bound that a model which loses nothing is found to keep four times of five."""
        if self.seeds > 1:  # of few seeds, the interval is wider than the error alone says
            return self.value - self.low + detectable(self.difference.error, alpha=1.0)
        return detectable(self.difference.error, alpha=0.05 / students)


def gain_of(first: Measured, second: Measured, figure: Figure, name: str, within: float) -> Gain | None:
    """Return what a model gains against another on a test set; `None` where what was kept does not say.

    Args:
        first: the model.
        second: what it is held against.
        figure: what models are compared by.
        name: the test set.
        within: what it may lose, as a share.
    """
    mine, yours = first.sets.get(name), second.sets.get(name)
    if mine is None or yours is None:
        return None
    digests = mine.get("row_digest"), yours.get("row_digest")
    if all(digests) and digests[0] != digests[1]:
        return None  # the rows are not the same ones: the difference may be theirs
    comparison = None
    margin = margin_of(figure, within)
    if all(digests):
        row_files = first.rows.get(name), second.rows.get(name)
        comparison = _paired(mine, yours, row_files, figure, margin)
    comparison = comparison or _unpaired(mine, yours, figure, margin)
    if comparison is None:
        return None
    verdict = comparison.verdict
    if not math.isfinite(verdict.difference.low):
        return None
    difference, least = verdict.difference, comparison.least
    return Gain(name, first.label, second.label, difference, verdict.p, margin, comparison.rows, comparison.by, least)


def margin_of(figure: Figure, within: float) -> float:
    """Return a loss that is given as a share on the scale of the gain: of 0.02, e.g. 2 points of chrF."""
    if figure.name in LOGARITHMS:
        return math.log1p(within)
    return within * 100 if figure.name == "bleu" else within


def margin_text(figure: Figure, margin: float) -> str:
    """Return e.g. `2 points of exact match`."""
    if figure.name in LOGARITHMS:
        return f"{100 * math.expm1(margin):.3g}\u202f% of perplexity"
    if figure.name == "bleu":
        return f"{margin:.3g} points of chrF"
    return f"{100 * margin:.3g} points of {figure.in_text}"


def gain_text(gain: Gain, figure: Figure) -> str:
    """Return e.g. `+0.4 points (+0.1 to +0.7)`; of perplexities, by how much they differ, in percent."""
    ends = (gain.value, gain.low, gain.high)
    if figure.name in LOGARITHMS:
        more, most, least = (100 * math.expm1(-end) for end in ends)
        return f"{signed(more)}\u202f% ({signed(least)} to {signed(most)})"
    value, low, high = ends if figure.name in PLAIN else (100 * end for end in ends)
    return f"{signed(value)} {PLAIN.get(figure.name, 'points')} ({signed(low)} to {signed(high)})"


@dataclass(frozen=True)
class Comparison:
    """What is known of two models on a test set."""

    verdict: Verdict
    """The difference, and the p of a loss."""
    rows: int
    """Rows, or pairs of windows, behind it."""
    by: By
    """How the interval is made."""
    least: int = 0
    """From how many rows on the bound can be proven at all; 0 where that is not known."""


def _paired(
    mine: Mapping[str, Any],
    yours: Mapping[str, Any],
    row_files: tuple[KeptRows | None, KeptRows | None],
    figure: Figure,
    margin: float,
) -> Comparison | None:
    """Return what the same rows say of both models."""
    if figure.name in SHARES:
        bits = rights(mine, row_files[0]), rights(yours, row_files[1])
        if bits[0] is None or bits[1] is None or len(bits[0]) != len(bits[1]):
            return None
        return _shares(bits[0], bits[1], sources_of(row_files, len(bits[0])), margin)
    if figure.name == "f1":
        return _spans(row_files, margin)
    pairs = mean_pairs(mine, yours, figure)
    if pairs is None:
        return None
    first_scores, second_scores, most = pairs
    verdict = non_inferior_means(first_scores, second_scores, margin, largest=most)
    return Comparison(verdict, len(first_scores), "paired means", 0 if most is None else least_rows(margin, most))


def mean_pairs(mine: Mapping[str, Any], yours: Mapping[str, Any], figure: Figure) -> Pairs | None:
    """Return the scores of both models row by row, where they kept them."""
    scores = paired_scores(mine, yours)
    if scores is None:
        return None
    sign, most = (-1.0, None) if figure.name in LOGARITHMS else (1.0, _widest(mine))
    first_scores, second_scores = [sign * a for a, _ in scores], [sign * b for _, b in scores]
    if most is None and first_scores == second_scores:
        most = 1.0  # nats a token
    return first_scores, second_scores, most


def _widest(scores: Mapping[str, Any]) -> float:
    """Return by how much the scores of a row can differ: by the judge's scale, or the 100 points of chrF."""
    low, high = number(scores, "low"), number(scores, "high")
    return high - low if low is not None and high is not None and high > low else 100.0


def _shares(mine: Sequence[bool], yours: Sequence[bool], sources: list[str] | None, margin: float) -> Comparison:
    """Return what is known of two shares; of clustered rows, the wider of both intervals counts."""
    plain = non_inferior_shares(*discordant(mine, yours), len(mine), margin)
    least = least_rows(margin)
    if sources is None:
        return Comparison(plain, len(mine), "paired shares", least)
    clustered = non_inferior_means([float(one) for one in mine], [float(one) for one in yours], margin, sources)
    one, other = plain.difference, clustered.difference
    wider = Interval(one.value, min(one.low, other.low), max(one.high, other.high), max(one.error, other.error))
    verdict = replace(plain, difference=wider, p=max(plain.p, clustered.p))
    # as many sources, of which each has as many rows
    enough = math.ceil(least * len(mine) / len(set(sources)))
    return Comparison(verdict, len(mine), "clustered rows", enough)


def _spans(row_files: tuple[KeptRows | None, KeptRows | None], margin: float) -> Comparison | None:
    """Return what is known of two F1s of spans, by what each text adds to them.

    Texts that lose many spans may be too rare to be drawn: the bound of `bounded_mean` counts them, and the interval is
    at least that of drawing texts with replacement.
    """
    mine, yours = row_files
    pairs = span_pairs(row_files)
    if mine is None or yours is None or pairs is None:
        return None
    count = len(mine.spans)
    if mine.spans == yours.spans:
        return Comparison(non_inferior_shares(0, 0, count, margin), count, "paired bootstrap", least_rows(margin))
    sources = sources_of(row_files, count)
    bounded = non_inferior_means(pairs[0], pairs[1], margin, sources, largest=pairs[2])
    drawn = paired_bootstrap(mine.spans, yours.spans, f1_of_sums, sources)
    one, other = bounded.difference, drawn.difference
    wider = Interval(other.value, min(one.low, other.low), max(one.high, other.high), max(one.error, other.error))
    return Comparison(replace(bounded, difference=wider), count, "paired bootstrap")


def span_pairs(row_files: tuple[KeptRows | None, KeptRows | None]) -> Pairs | None:
    """Return what each text adds to the F1 of either model, where they kept that; the mean of each is its F1."""
    mine, yours = row_files
    if mine is None or yours is None or len(mine.spans) != len(yours.spans) or len(mine.spans) < 2:
        return None
    tables = [np.asarray(one.spans, dtype=float) for one in (mine, yours)]
    sizes = [table[:, 1:].sum(axis=1) for table in tables]
    least = min(float(size.mean()) for size in sizes)
    if not least:
        return None
    first, second = (ratio_scores(2 * table[:, 0], size) for table, size in zip(tables, sizes, strict=True))
    # a text whose spans are all right adds that much more than one whose spans are all wrong
    most = max(float(size.max()) for size in sizes) / least
    return list(first), list(second), max(most, float(np.abs(first - second).max()))


def _unpaired(mine: Mapping[str, Any], yours: Mapping[str, Any], figure: Figure, margin: float) -> Comparison | None:
    """Return what two shares alone say."""
    one, other, n, m = figure.of(mine), figure.of(yours), number(mine, "n"), number(yours, "n")
    if figure.name not in SHARES or one is None or other is None or not n or not m or min(n, m) < 1:
        return None
    mine_n, yours_n = int(n), int(m)
    right, others = min(mine_n, round(one * mine_n)), min(yours_n, round(other * yours_n))
    difference = agresti_caffo(right, mine_n, others, yours_n)
    if not difference.error > 0:
        return None  # more rows than a float can tell apart
    middle = (right + 1) / (mine_n + 2) - (others + 1) / (yours_n + 2)
    verdict = Verdict(difference, margin, _tail((middle + margin) / difference.error), False, False)
    return Comparison(verdict, min(mine_n, yours_n), UNPAIRED, least_rows(margin))


def _tail(z: float) -> float:
    """Return the probability of a normal number above `z`."""
    half = normal_p(abs(z)) / 2
    return half if z >= 0 else 1 - half
