"""What a student that was made with several seeds gains against another model, over rows and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from potstill.metrics.uncertainty.non_inferiority import least_rows, non_inferior_seeds
from potstill.reporting.comparing import rights, sources_of
from potstill.reporting.gains import SHARES, Gain, margin_of, mean_pairs, span_pairs
from potstill.reporting.kinds import Figure
from potstill.reporting.model_table import Measured
from potstill.reporting.number_formats import listing

Row = tuple[float, ...]
Scores = tuple[Row, Row, float | None]
"""Scores of a model and of the other one, more being better, and the most by which a row can differ, if that is known.
"""


def seeds_gain(models: Sequence[Measured], other: Measured, figure: Figure, name: str, within: float) -> Gain | None:
    """Return what the seeds of one student gain on average; `None` where the rows of any were not kept.

    Args:
        models: the student by its seeds, two or more.
        other: what it is held against.
        figure: what models are compared by.
        name: the test set.
        within: what it may lose, as a share.
    """
    each = [_scores(model, other, figure, name) for model in models]
    scores = [one for one in each if one is not None]
    if len(scores) < max(2, len(each)):
        return None
    students, teachers, most = zip(*scores, strict=True)
    if len({len(one) for one in students}) > 1 or len(students[0]) < 2:
        return None
    largest = None if None in most else max(one for one in most if one is not None)
    sources = sources_of((models[0].rows.get(name), other.rows.get(name)), len(students[0]))
    if sources is not None and len(set(sources)) < 2:
        return None
    margin = margin_of(figure, within)
    verdict = non_inferior_seeds(students, teachers[0], margin, sources, largest=largest)
    least = 0 if largest is None else least_rows(margin, largest)
    if sources is not None:
        least = math.ceil(least * len(sources) / len(set(sources)))
    label = listing(model.label for model in models)
    rows = len(students[0])
    return Gain(
        name, label, other.label, verdict.difference, verdict.p, margin, rows, "rows by seeds", least, len(models)
    )


def _scores(model: Measured, other: Measured, figure: Figure, name: str) -> Scores | None:
    """Return the scores of both models on the same rows."""
    mine, yours = model.sets.get(name), other.sets.get(name)
    if mine is None or yours is None or not mine.get("row_digest") or mine["row_digest"] != yours.get("row_digest"):
        return None
    row_files = model.rows.get(name), other.rows.get(name)
    if figure.name in SHARES:
        bits = rights(mine, row_files[0]), rights(yours, row_files[1])
        if bits[0] is None or bits[1] is None or len(bits[0]) != len(bits[1]):
            return None
        return tuple(map(float, bits[0])), tuple(map(float, bits[1])), 1.0
    pairs = span_pairs(row_files) if figure.name == "f1" else mean_pairs(mine, yours, figure)
    return None if pairs is None else (tuple(pairs[0]), tuple(pairs[1]), pairs[2])
