"""Several measures of the answers to test rows at once: the scores of each row, and a summary with intervals.

A measure that raises at a row costs that score and nothing else: the row is kept, counted and named.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from potstill.errors import BadInput, described
from potstill.metrics.measures.by_name import AnyMeasure, measures_of
from potstill.metrics.measures.measure import CorpusMeasure, Gold, Measure, Row, Score, golds_of

SHOWN = 3
"""Errors of a measure that are kept word for word."""
DRAWS = 1_000
"""Draws of a bootstrap."""
Ends = tuple[float | None, float | None]
"""Lower and upper end of an interval; None where there is none."""


@dataclass(frozen=True)
class Summary:
    """The figure of one measure over all rows."""

    value: float | None
    """The figure; None if no row has a score, or it can't be computed."""
    low: float | None
    """Lower end of its 95 % interval; None where there is none."""
    high: float | None
    """Upper end."""
    n: int
    """Rows that have a score."""
    interval: str
    """How the interval was made: `wilson`, `student`, `clustered` or `bootstrap`; empty where there is none."""
    higher_is_better: bool
    """Which of two figures is the better one."""
    largest: float | None
    """The end of the scale; None where there is none."""
    missing: int = 0
    """Rows of which the measure says nothing, or that have no right answer."""
    not_finite: int = 0
    """Rows whose score is NaN or infinite; they have none."""
    failed: int = 0
    """Rows at which the measure raised an error; they have none."""
    errors: tuple[str, ...] = ()
    """The first of these errors, with the row."""
    signature: str = ""
    """How the figure was computed, where there are several ways."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Figures of its parts."""


@dataclass(frozen=True)
class Scored:
    """What `score_rows` returns."""

    rows: dict[str, list[float | None]]
    """By measure, the score of each row; None where it has none."""
    summary: dict[str, Summary]
    """By measure, the figure of all rows."""

    def table(self) -> list[dict[str, float | None]]:
        """Return the scores row by row."""
        return [dict(zip(self.rows, row, strict=True)) for row in zip(*self.rows.values(), strict=True)]

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return the summary as plain values."""
        return {name: asdict(one) for name, one in self.summary.items()}


@dataclass(frozen=True)
class _Scores:
    """The scores that one measure gives."""

    values: list[float | None]
    missing: int
    not_finite: int
    errors: list[str]
    are_bools: bool
    """Whether all that there are were given as bools."""


def score_rows(
    measures: Iterable[AnyMeasure],
    answers: Sequence[str],
    golds: Sequence[Gold | None],
    rows: Sequence[Row] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Scored:
    """Return the scores of each row by every measure, and the figure of all rows with its 95 % interval.

    Shares have Wilson's interval, means Student's, figures that are no mean one by bootstrap; with `clusters`, rows of
    one cluster count as alike. Rows without a score are left out of the figure, and counted in the summary.

    Args:
        measures: Measures, names of them, or functions of answer and gold.
        answers: What the model answered, row by row.
        golds: The right answer of each row, or several of which each is right; None where there is none.
        rows: The test rows, for measures that look at other columns; an error names a row by its `id`.
        clusters: What each row comes from, such as its passage or its seed task.
        seed: Of the bootstrap.

    Raises:
        BadInput: there are no rows or no measures, not as many of one as of another, an unknown name, or an answer or a
            right one that is no text; all of them together.

    >>> found = score_rows(["exact_match", "token_f1"], ["Ulm", "in Bonn"], ["Ulm", ["Bonn", "Berlin"]])
    >>> found.table()[1], found.summary["exact_match"].value
    ({'exact_match': 0.0, 'token_f1': 0.6666666666666666}, 0.5)
    """
    by_name = measures_of(measures)
    problems = [] if by_name else ["no measure is given: name at least one, such as ExactMatch()"]
    problems += _misfits(answers, golds, rows, clusters)
    if problems:
        raise BadInput(*problems)
    contexts: Sequence[Row] = rows if rows is not None else [{}] * len(answers)
    scored = {name: _scores(measure, answers, golds, contexts) for name, measure in by_name.items()}
    summary = {
        name: _summary(measure, scored[name], answers, golds, clusters, seed) for name, measure in by_name.items()
    }
    return Scored({name: one.values for name, one in scored.items()}, summary)


def _misfits(
    answers: Sequence[str],
    golds: Sequence[Gold | None],
    rows: Sequence[Row] | None,
    clusters: Sequence[Hashable] | None,
) -> list[str]:
    """Return what is wrong with the rows."""
    if not len(answers) and not len(golds):
        return ["there are no rows to score: the test set is empty"]
    others = {"right answers": golds, "rows": rows, "clusters": clusters}
    wrong = [
        f"{len(answers)} answers have {len(other)} {what}: give each answer one"
        for what, other in others.items()
        if other is not None and len(other) != len(answers)
    ]
    if wrong:
        return wrong
    texts = [
        f"the answer of row {number} must be text, got {one!r:.80}"
        for number, one in enumerate(answers)
        if not isinstance(one, str)
    ]
    return texts + [
        f"the right answer of row {number} must be text or a list of texts, got {one!r:.80}"
        for number, one in enumerate(golds)
        if not _is_gold(one)
    ]


def _is_gold(gold: object) -> bool:
    if gold is None or isinstance(gold, str):
        return True
    return isinstance(gold, Sequence) and all(one is None or isinstance(one, str) for one in gold)


def _scores(measure: Measure, answers: Sequence[str], golds: Sequence[Gold | None], rows: Sequence[Row]) -> _Scores:
    """Return the scores of all rows."""
    values: list[float | None] = []
    missing = not_finite = 0
    errors: list[str] = []
    bools = numbers = 0
    for number, (answer, gold, row) in enumerate(zip(answers, golds, rows, strict=True)):
        value: float | None = None
        if measure.needs_gold and not golds_of(gold):
            missing += 1
        else:
            try:
                score = measure.per_row(answer, gold if gold is not None else "", row)
                value = None if score is None else float(score)
                missing += score is None
                bools, numbers = bools + isinstance(score, bool), numbers + (score is not None)
            except Exception as error:  # noqa: BLE001 - a measure may be the user's own, and raise anything
                errors.append(f"row {row.get('id', number)!r}: {described(error)}")
        if value is not None and not math.isfinite(value):
            value, not_finite = None, not_finite + 1
        values.append(value)
    return _Scores(values, missing, not_finite, errors, 0 < bools == numbers)


def _summary(
    measure: Measure,
    scores: _Scores,
    answers: Sequence[str],
    golds: Sequence[Gold | None],
    clusters: Sequence[Hashable] | None,
    seed: int,
) -> Summary:
    """Return the figure of one measure over the rows that have a score."""
    scored = [number for number, value in enumerate(scores.values) if value is not None]
    own = None if clusters is None else [clusters[number] for number in scored]
    scale = (0.0, 1.0) if scores.are_bools else (measure.smallest, measure.largest)
    score, how, errors = Score(math.nan), "", scores.errors[:SHOWN]
    ends: Ends = (None, None)
    try:
        if scored and isinstance(measure, CorpusMeasure):
            texts, right = [answers[number] for number in scored], [golds[number] or "" for number in scored]
            score, ends, how = measure.corpus(texts, right), _drawn(measure, texts, right, own, seed), "bootstrap"
        elif scored:
            values = [value for value in scores.values if value is not None]
            # fsum is exact: the mean does not depend on the order of the rows
            score = Score(math.fsum(values) / len(values))
            ends, how = _ends(scale, measure.is_share or scores.are_bools, values, own)
    except Exception as error:  # noqa: BLE001 - as above: a figure that can't be had costs no other one
        errors.append(f"all rows together: {described(error)}")
    return Summary(
        value=_on_scale(score.value, scale),
        low=_on_scale(ends[0], scale),
        high=_on_scale(ends[1], scale),
        n=len(scored),
        interval=how if _on_scale(ends[0], scale) is not None else "",
        higher_is_better=measure.higher_is_better,
        largest=scale[1],
        missing=scores.missing,
        not_finite=scores.not_finite,
        failed=len(scores.errors),
        errors=tuple(errors),
        signature=score.signature,
        parts=dict(score.parts),
    )


def _ends(
    scale: Ends, is_share: bool, values: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[Ends, str]:
    """Return the ends of the interval of a mean, and how they were found."""
    from potstill.metrics.uncertainty.means import mean_interval
    from potstill.metrics.uncertainty.shares import share_interval

    least, most = scale
    varies = len(set(values)) > 1
    if least is not None and most is not None and (is_share or not varies) and set(values) <= {least, most}:
        # without spread, too: no score that stays on a scale varies more than a share does
        share, width = share_interval([value == most for value in values], clusters), most - least
        ends = (least + share.low * width, least + share.high * width)
        return ends, "clustered" if clusters is not None and varies else "wilson"
    interval = mean_interval(values, clusters)
    return _apart(interval.low, interval.high), "student" if clusters is None else "clustered"


def _drawn(
    measure: CorpusMeasure,
    answers: Sequence[str],
    golds: Sequence[Gold],
    clusters: Sequence[Hashable] | None,
    seed: int,
) -> Ends:
    """Return the ends of the interval of a figure that is no mean; None of a single row, or of equal ones."""
    if len(answers) < 2:
        return None, None
    from potstill.metrics.uncertainty.bootstrap import bootstrap_interval

    interval = bootstrap_interval(measure.counts(answers, golds), measure.figure, clusters, draws=DRAWS, seed=seed)
    return _apart(interval.low, interval.high)


def _apart(low: float, high: float) -> Ends:
    """Return the ends; None if they are one, of rows that do not vary: they say nothing of other rows."""
    return (low, high) if low < high else (None, None)


def _on_scale(value: float | None, scale: Ends) -> float | None:
    """Return a finite value, moved onto the scale where it is beyond; sacrebleu's best is 100.00000000000004."""
    if value is None or not math.isfinite(value):
        return None
    least, most = scale
    return min(max(value, value if least is None else least), value if most is None else most)
