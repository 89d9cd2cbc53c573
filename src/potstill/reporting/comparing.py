"""Whether two measured models differ by more than chance: on the same rows where both kept theirs, else by shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from potstill.metrics.answers import Z95, unpacked
from potstill.metrics.kept_rows import KeptRows
from potstill.metrics.significance import holm, mcnemar, normal_p, paired_means, two_shares
from potstill.metrics.spans import f1_of_sums
from potstill.metrics.uncertainty.randomization import paired_randomization
from potstill.reporting.kinds import BITS, Figure, number
from potstill.reporting.model_table import Measured

SURE = 0.05
"""Probability below which a difference counts as more than chance, over all comparisons on a test set."""
DRAWS = 10_000
"""Random exchanges of rows: a p of 0.05 over 20 models needs one of 0.0025."""
Test = Literal["McNemar's test", "a t-test on pairs", "a randomization test", "a test on shares", "a test on means"]
"""What was computed; the first three are of the same rows."""


@dataclass(frozen=True)
class Difference:
    """What a test says of two models on one test set."""

    set: str
    """The test set."""
    first: str
    """Label of the model that is compared with the other."""
    second: str
    """Label of the other."""
    gain: float
    """By how much the first is better; negative where it is worse."""
    p: float
    """Probability of so large a difference between equal models; raised where several are compared."""
    by: Test
    """What was computed."""
    smallest: float
    """The smallest p that any outcome on these rows could have had."""

    @property
    def is_sure(self) -> bool:
        """Return whether the difference is more than chance."""
        return self.p < SURE


def compared(pairs: Sequence[tuple[Measured, Measured]], figure: Figure, sets: Sequence[str]) -> tuple[Difference, ...]:
    """Return what can be tested of the `pairs` on the `sets`, with p-values that hold for all pairs together."""
    return tuple(difference for name in sets for difference in _on(name, pairs, figure))


def _on(name: str, pairs: Sequence[tuple[Measured, Measured]], figure: Figure) -> list[Difference]:
    """Return what can be tested of the `pairs` on one test set."""
    tested = [_difference(first, second, figure, name) for first, second in pairs]
    differences = [difference for difference in tested if difference is not None]
    raised = holm([difference.p for difference in differences])
    least = [min(1.0, len(differences) * difference.smallest) for difference in differences]
    return [
        replace(difference, p=p, smallest=smallest)
        for difference, p, smallest in zip(differences, raised, least, strict=True)
    ]


def _difference(first: Measured, second: Measured, figure: Figure, name: str) -> Difference | None:
    """Return what a test says of two models on one set; `None` where nothing can be tested."""
    first_scores, second_scores = first.sets.get(name), second.sets.get(name)
    one, other = figure.of(first_scores), figure.of(second_scores)
    if first_scores is None or second_scores is None or one is None or other is None:
        return None
    row_files = first.rows.get(name), second.rows.get(name)
    spans = _exchanged(first_scores, second_scores, row_files) if figure.name == "f1" else None
    tested = spans or _paired(first_scores, second_scores) or _apart(first_scores, second_scores, figure)
    if tested is None:
        return None
    gain = one - other if figure.rises else other - one
    return Difference(name, first.label, second.label, gain, *tested)


def _paired(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[float, Test, float] | None:
    """Return p, test and smallest p from what both did on each of the same rows, where they kept it."""
    if not first.get("row_digest") or first.get("row_digest") != second.get("row_digest"):
        return None
    mine, yours = rights(first), rights(second)
    if mine is not None and yours is not None and len(mine) == len(yours):
        only_mine = sum(a and not b for a, b in zip(mine, yours, strict=True))
        only_yours = sum(b and not a for a, b in zip(mine, yours, strict=True))
        return mcnemar(only_mine, only_yours), "McNemar's test", mcnemar(len(mine), 0)
    pairs = paired_scores(first, second)
    if pairs is None:
        return None
    # two pairs may differ by the same amount, and then any difference looks significant: few pairs show nothing
    smallest = 2.0 ** (1 - len(pairs))
    return paired_means([a for a, _ in pairs], [b for _, b in pairs]), "a t-test on pairs", smallest


def _exchanged(
    first: Mapping[str, Any], second: Mapping[str, Any], row_files: tuple[KeptRows | None, KeptRows | None]
) -> tuple[float, Test, float] | None:
    """Return p, test and smallest p of two F1s of spans, from what both found in each of the same texts."""
    mine, yours = row_files
    if not first.get("row_digest") or first.get("row_digest") != second.get("row_digest"):
        return None
    if mine is None or yours is None or not mine.spans or len(mine.spans) != len(yours.spans):
        return None
    sources = sources_of(row_files, len(mine.spans))
    p = paired_randomization(mine.spans, yours.spans, f1_of_sums, sources, draws=DRAWS)
    independent = len(set(sources)) if sources else len(mine.spans)
    return p, "a randomization test", max(2.0 ** (1 - independent), 1 / (1 + DRAWS))


def sources_of(row_files: tuple[KeptRows | None, KeptRows | None], count: int) -> list[str] | None:
    """Return the clusters of the rows, if either model's rows say them."""
    every = (one.sources for one in row_files if one is not None)
    return next((one for one in every if one is not None and len(one) == count), None)


def paired_scores(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[float, float]] | None:
    """Return the scores of both models row by row, if both kept as many finite ones, and more than one."""
    scores, others = first.get("row_scores"), second.get("row_scores")
    if not isinstance(scores, list) or not isinstance(others, list) or len(scores) != len(others) or len(scores) < 2:
        return None
    try:
        pairs = [(float(a), float(b)) for a, b in zip(scores, others, strict=True)]
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(value) for pair in pairs for value in pair):
        return None
    return pairs


def rights(scores: Mapping[str, Any], row_file: KeptRows | None = None) -> list[bool] | None:
    """Return which rows a model got right, if that was kept, in its figures or its file of rows."""
    if row_file is not None and row_file.right and len(row_file.right) == number(scores, "n"):
        return list(row_file.right)
    text, count = scores.get("row_right"), number(scores, "n")
    return unpacked(text, int(count)) if isinstance(text, str) and count and count >= 1 else None


def _apart(first: Mapping[str, Any], second: Mapping[str, Any], figure: Figure) -> tuple[float, Test, float] | None:
    """Return p, test and smallest p from the figures alone."""
    one, other = figure.of(first), figure.of(second)
    if one is None or other is None:
        return None
    n, m = number(first, "n") or 0, number(second, "n") or 0
    if figure.name in ("exact_match", "accuracy", "acc", "agreement") and min(n, m) >= 1:
        # on so few rows the z-test finds too much: what pairs could show at best is the bound
        return two_shares(one, int(n), other, int(m)), "a test on shares", mcnemar(int(min(n, m)), 0)
    spread, others = _bits_error(first), _bits_error(second)
    if figure.name not in ("perplexity", BITS.name) or spread is None or others is None:
        return None
    both = math.hypot(spread, others)
    p = normal_p(((BITS.of(first) or 0.0) - (BITS.of(second) or 0.0)) / both) if both else 1.0
    # the texts differ far more than the models do, so that a large p says nothing of models on the same text
    return (p, "a test on means", 0.0) if p < SURE else None


def _bits_error(scores: Mapping[str, Any]) -> float | None:
    """Return the standard error of bits a byte, from the interval of the perplexity."""
    low, high = number(scores, "perplexity_low"), number(scores, "perplexity_high")
    tokens, size = number(scores, "tokens"), number(scores, "bytes")
    positive = [value for value in (low, high, tokens, size) if value is not None and value > 0]
    if low is None or high is None or tokens is None or size is None or len(positive) < 4 or BITS.of(scores) is None:
        return None
    return (math.log(high) - math.log(low)) / (2 * Z95) * tokens / size / math.log(2)
