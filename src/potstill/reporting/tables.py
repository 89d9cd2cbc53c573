"""The flat table of all that was measured: one row a model and test set."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from potstill.reporting.choice import Choice
from potstill.reporting.cost_columns import cost_row, costs_by_model, rows_of_costs, runtime_in, speed_names
from potstill.reporting.costs import Cost
from potstill.reporting.gains import Gain, gain_of
from potstill.reporting.kinds import number
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.ruling import Ruling, Student

FIGURES = (
    "tokens_per_s",
    "rows_per_s",
    "first_token_ms_p50",
    "first_token_ms_p95",
    "weights_bytes",
    "folder_bytes",
    "bits_per_weight",
    "parameters",
    "nonzero_parameters",
    "peak_memory_bytes",
)
"""Figures of a whole model, in the order of the table's columns."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would compute."""


def flat(sections: Sequence[Section], costs: Sequence[Cost] = ()) -> list[dict[str, Any]]:
    """Return one row a model and test set; the figures of a set are its numbers, those of all kinds side by side.

    A column of speed is of one runtime. What `MeasureCost` measured has columns of its own, and rows of its own for
    models that no evaluation measured.
    """
    gains = {id(section): gains_of(section) for section in sections}
    names, spent = speed_names(sections), costs_by_model(sections, costs)
    rows = [
        {"model": model.label, "kind": section.title, "set": name}
        | _numbers(scores)
        | _whole(model, names)
        | {"size_ratio": model.size_ratio}
        | _difference(gains[id(section)].get((model.label, name)))
        | cost_row(spent.get(id(model)), costs)
        for section in sections
        for model in section.models
        for name, scores in model.sets.items()
    ]
    rows += rows_of_costs(costs, spent)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]


def _whole(model: Measured, names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return the figures of a whole model, by their columns."""
    figures = {name: model.metrics[name] for name in FIGURES if name in model.metrics}
    return {names.get((name, runtime_in(model)), name): value for name, value in figures.items()}


def plain(model: Measured) -> dict[str, Any]:
    """Return all of a model as JSON."""
    own = {"model": model.label, "step": model.step, "reference": model.reference, "size_ratio": model.size_ratio}
    return own | dict(model.metrics)


def summarized(choice: Choice) -> dict[str, Any]:
    """Return what a section comes to as JSON: the choice, what it rests on, and all tests."""
    return {
        "kind": choice.section.title,
        "main": choice.section.main.name,
        "reference": choice.section.reference.label,
        "chosen": choice.chosen.label if choice.chosen else None,
        "equals": [model.label for model in choice.equals],
        "unusable": {label: verdict.text for label, verdict in choice.unusable.items()},
        "differences": [
            {"model": label, "against": gain.second, "set": name} | _difference(gain)
            for (label, name), gain in gains_of(choice.section).items()
        ],
        "tests": [asdict(difference) for difference in (*choice.among, *choice.against)],
    }


def gains_of(section: Section) -> dict[tuple[str, str], Gain]:
    """Return what each model gains against the reference, by its label and the test set, where that is known."""
    gains = {
        (model.label, name): gain_of(model, section.reference, section.main, name, 0.0)
        for model in section.models
        if not model.reference
        for name in model.sets
    }
    return {place: gain for place, gain in gains.items() if gain is not None}


def ruled(ruling: Ruling | None, words: Sequence[str]) -> dict[str, Any] | None:
    """Return the verdict as JSON: the bound, the models that are proven to keep it, and what each is against it."""
    if ruling is None:
        return None
    missing = ruling.missing
    return {
        "within": ruling.within,
        "against": ruling.baseline.label,
        "has_teacher": ruling.has_teacher,
        "smallest": ruling.smallest.label if ruling.smallest else None,
        "fastest": [{"model": model.label, "runtime": runtime} for runtime, model in ruling.fastest],
        "models": [_student(one) for one in ruling.students],
        "smallest_margin": missing.smallest if missing else None,
        "rows_needed": missing.rows if missing else None,
        "text": " ".join(words),
    }


def _student(student: Student) -> dict[str, Any]:
    """Return one model against the bound as JSON."""
    names = ("set", "value", "low", "high", "margin", "rows", "by", "seeds")
    return {
        "model": student.model.label,
        "proven": student.is_proven,
        "worse": student.is_worse,
        "p": student.p,
        "sets": [{name: getattr(gain, name) for name in names} for gain in student.gains],
    }


def _difference(gain: Gain | None) -> dict[str, Any]:
    """Return the columns of a difference from the reference; none where it is not known."""
    if gain is None:
        return {}
    return {
        "difference": gain.value,
        "difference_low": gain.low,
        "difference_high": gain.high,
        "difference_by": gain.by,
    }


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return `rows` as CSV; numbers with all their digits, nothing for what is unknown, texts never as formulas."""
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(listed[0]) if listed else ["model"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _as_text(value) for name, value in row.items()} for row in listed)
    return text.getvalue()


def _numbers(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers among the figures of a set; NaN and infinity are none."""
    return {str(name): scores[name] for name in scores if number(scores, name) is not None}


def _as_text(value: object) -> object:
    """Return a text that begins as a formula does behind an apostrophe, and all else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
