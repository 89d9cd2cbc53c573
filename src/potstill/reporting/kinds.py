"""The kinds of figures that evaluating steps make: what the main one is, which way it is better, how it is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from potstill.reporting.number_formats import count, decimal, interval, percent

Unit = Literal["share", "number", "count"]
"""A share of 1, shown in percent, a plain number, or one without decimals."""


@dataclass(frozen=True)
class Figure:
    """One figure of a model on a test set."""

    name: str
    """Its key in the metrics of a set."""
    title: str
    """What it is called in the head of a column."""
    unit: Unit = "number"
    """How it is shown."""
    rises: bool = True
    """Whether more is better."""
    least: float = 0.0
    """What it is of a model that has learned nothing: no better than this is good for nothing."""

    @property
    def in_text(self) -> str:
        """Return what it is called within a sentence; what is not a word keeps its capitals."""
        return self.title[0].lower() + self.title[1:] if self.title[1:2].islower() else self.title

    def of(self, scores: Mapping[str, Any] | None) -> float | None:
        """Return the figure in the metrics of a set, if it is there and a finite number."""
        return number(scores, self.name)

    def shown(self, value: float | None) -> str:
        """Return a value of it as text."""
        if self.unit == "count":
            return count(None if value is None else round(value))
        return percent(value) if self.unit == "share" else decimal(value)

    def bounds(self, scores: Mapping[str, Any] | None) -> tuple[float, float] | None:
        """Return its 95 % interval, if the metrics hold one that goes with it."""
        low, value, high = (number(scores, f"{self.name}{end}") for end in ("_low", "", "_high"))
        if low is None or value is None or high is None or not low <= value <= high:
            return None
        return None if self.unit == "share" and not 0 <= low <= high <= 1 else (low, high)

    def range(self, scores: Mapping[str, Any] | None) -> str:
        """Return its interval as text, or nothing."""
        bounds = self.bounds(scores)
        if bounds is None:
            return ""
        return interval(*bounds) if self.unit == "share" else f"{decimal(bounds[0])} to {decimal(bounds[1])}"

    def note(self, scores: Mapping[str, Any] | None) -> str:
        """Return what a calibrated model would show, of a figure that is not 0 for it, as text; or nothing."""
        expected = number(scores, f"{self.name}_of_calibrated")
        return "" if expected is None else f"{self.shown(expected)} if calibrated"

    def is_nothing(self, value: float) -> bool:
        """Return whether a value is no better than that of a model that has learned nothing."""
        return value <= self.least if self.rises else value >= self.least


@dataclass(frozen=True)
class Kind:
    """One way to measure a model."""

    title: str
    """Heading of its section."""
    main: Figure
    """What models are compared by."""
    beside: tuple[Figure, ...] = ()
    """Other figures in the table."""
    unit: str = "rows"
    """What is counted in a test set."""
    count: str = "n"
    """Key of that count."""
    speeds: tuple[Figure, ...] = ()
    """Figures of speed, of the whole model."""
    marks: tuple[str, ...] = ()
    """Keys besides the main figure's by which the metrics of a set are known."""
    peers: bool = False
    """Whether no model is the one that the others should be as good as: then there is no verdict under a bound."""
    writes: bool = False
    """Whether its models write answers, so that what `MeasureCost` measured of them says how fast they do."""

    def holds(self, metrics: object) -> bool:
        """Return whether `metrics` are of this kind: test sets by name, each with the main figure."""
        sets = metrics.get("sets") if isinstance(metrics, Mapping) else None
        return isinstance(sets, Mapping) and bool(sets) and all(self._scores(scores) for scores in sets.values())

    def _scores(self, scores: object) -> bool:
        """Return whether the metrics of one set are of this kind; one that is NaN still is."""
        if not isinstance(scores, Mapping) or not {self.main.name, *self.marks} <= set(scores):
            return False
        value = scores[self.main.name]
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            return False
        is_share = self.main.unit == "share" and value is not None and not math.isnan(value)
        return not is_share or 0 <= (value or 0.0) <= 1


ROWS_PER_S = Figure("rows_per_s", "Rows/s")
TOKENS_PER_S = Figure("tokens_per_s", "Tokens/s")
WRITING = (TOKENS_PER_S, Figure("first_token_ms_p50", "First token, ms", rises=False))
ANSWERS = Kind(
    "Answers",
    Figure("exact_match", "Exact match", "share"),
    (Figure("valid_json", "Valid JSON", "share"),),
    speeds=WRITING,
    writes=True,
)
CHOICES = Kind(
    "Multiple choice",
    Figure("accuracy", "Accuracy", "share"),
    (
        Figure("accuracy_by_sum", "As they are", "share"),
        Figure("accuracy_by_token", "By token", "share"),
        Figure("accuracy_by_byte", "By byte", "share"),
        Figure("chance", "By chance", "share"),
        Figure("ties", "Without a choice", "count", rises=False),
    ),
    unit="questions",
    speeds=WRITING,
    marks=("chance", "ties"),
    writes=True,
)
GRADES = Kind(
    "Grades by a judge",
    Figure("grade", "Mean grade", least=-math.inf),
    (
        Figure("gold_auc", "Right above wrong", "share"),
        Figure("human_estimate", "What people would say"),
        Figure("length_correlation", "Grade and length"),
    ),
    unit="answers",
    marks=("low", "high", "lost"),
    peers=True,
)
AGREEMENT = Kind(
    "Agreement with the teacher",
    Figure("agreement", "Agreement", "share"),
    (
        Figure("same_tokens", "Same tokens", "share"),
        Figure("top1", "Same first choice", "share"),
        Figure("kl", "Divergence, nats a token", rises=False),
        Figure("mass", "Probability looked at", "share"),
    ),
    speeds=WRITING,
    marks=("same_tokens", "kl"),
    peers=True,
    writes=True,
)
SPANS = Kind(
    "Spans in texts",
    Figure("f1", "F1 of spans", "share"),
    (Figure("precision", "Precision", "share"), Figure("recall", "Recall", "share")),
    unit="texts",
    speeds=(ROWS_PER_S,),
    marks=("spans",),
)
CLASSES = Kind(
    "Classes of texts",
    Figure("accuracy", "Accuracy", "share"),
    (
        Figure("macro_f1", "Macro F1", "share"),
        Figure("matthews", "Matthews"),
        Figure("brier", "Brier score", rises=False),
        Figure("calibration_error", "Calibration error", "share", rises=False),
    ),
    speeds=(ROWS_PER_S,),
)
TRANSLATIONS = Kind(
    "Translations", Figure("bleu", "BLEU", least=1.0), (Figure("chrf", "chrF"),), speeds=(TOKENS_PER_S, ROWS_PER_S)
)
BITS = Figure("bits_per_byte", "Bits a byte", rises=False, least=8.0)
READING = Kind(
    "Perplexity of texts",
    Figure("perplexity", "Perplexity", rises=False, least=math.inf),
    (BITS,),
    unit="tokens",
    count="tokens",
    speeds=(TOKENS_PER_S,),
)
HARNESS = Kind(
    "LM evaluation harness",
    Figure("acc", "Accuracy", "share"),
    (Figure("acc_norm", "By length", "share"),),
    speeds=WRITING,
    writes=True,
)
DOCUMENTS = Kind(
    "Perplexity of documents",
    Figure("word_perplexity", "Perplexity of a word", rises=False, least=math.inf),
    (Figure("byte_perplexity", "Of a byte", rises=False), BITS),
    unit="documents",
)
RIGHTS = ("exact_match", "acc", "acc_norm")
"""Figures of the harness that say which rows are right, the first that a task has."""
_ACC = ("acc", "acc_low", "acc_high")
KINDS = (ANSWERS, SPANS, CHOICES, CLASSES, AGREEMENT, GRADES, TRANSLATIONS, READING, DOCUMENTS, HARNESS)
"""All kinds; the first that fits is taken, so those with marks stand before classes: all have an accuracy."""


def kind_of(metrics: object) -> Kind | None:
    """Return of which kind `metrics` are; `None` for a user's own figures, which are shown as they are."""
    if isinstance(metrics, Mapping) and harness_tasks(metrics):
        # its scores bear names of other kinds, and mean something else
        return HARNESS if tasks_with_rights(metrics) else DOCUMENTS if DOCUMENTS.holds(metrics) else None
    return next((kind for kind in KINDS if kind.holds(metrics)), None)


def tasks_with_rights(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the tasks of lm-evaluation-harness whose rows are right or wrong, with the share that is right as `acc`.

    A task may call it otherwise, and have it several times, by how answers were filtered: the first is taken, by which
    its rows are right.
    """
    tasks: dict[str, Mapping[str, Any]] = {}
    for name, scores in harness_tasks(metrics).items():
        main = next((one for want in RIGHTS for one in scores if one == want or one.startswith(f"{want} (")), None)
        value = None if main is None else number(scores, main)
        if value is not None and 0 <= value <= 1:
            ends = {f"acc{end}": scores[f"{main}{end}"] for end in ("_low", "_high") if f"{main}{end}" in scores}
            tasks[name] = {**{key: one for key, one in scores.items() if key not in _ACC}, "acc": value, **ends}
    return tasks


def harness_tasks(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return all tasks of lm-evaluation-harness with their figures; none of what another step measured."""
    engine, sets = metrics.get("engine"), metrics.get("sets")
    if not isinstance(engine, Mapping) or not engine.get("harness") or not isinstance(sets, Mapping):
        return {}
    return {str(name): scores for name, scores in sets.items() if isinstance(scores, Mapping)}


def number(values: Mapping[str, Any] | None, name: str) -> float | None:
    """Return the finite number behind `name`, if there is one."""
    value = None if values is None else values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer that no float holds
        return None
