"""The flat table of all that was measured: one row a model and test set."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from potstill.reporting.choice import Choice
from potstill.reporting.model_table import Measured, Section

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


def flat(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return one row a model and test set; the figures of a set are its numbers, those of all kinds side by side."""
    rows = [
        {"model": model.label, "kind": section.kind.title, "set": name}
        | _numbers(scores)
        | {figure: model.metrics[figure] for figure in FIGURES if figure in model.metrics}
        | {"size_ratio": model.size_ratio}
        for section in sections
        for model in section.models
        for name, scores in model.sets.items()
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]


def plain(model: Measured) -> dict[str, Any]:
    """Return all of a model as JSON."""
    own = {"model": model.label, "step": model.step, "reference": model.reference, "size_ratio": model.size_ratio}
    return own | dict(model.metrics)


def summarized(choice: Choice) -> dict[str, Any]:
    """Return what a section comes to as JSON: the choice, what it rests on, and all tests."""
    return {
        "kind": choice.section.kind.title,
        "main": choice.section.main.name,
        "reference": choice.section.reference.label,
        "chosen": choice.chosen.label if choice.chosen else None,
        "equals": [model.label for model in choice.equals],
        "unusable": {label: verdict.text for label, verdict in choice.unusable.items()},
        "tests": [asdict(difference) for difference in (*choice.among, *choice.against)],
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
    """Return the numbers among the figures of a set."""
    return {
        str(name): value
        for name, value in scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _as_text(value: object) -> object:
    """Return a text that begins as a formula does behind an apostrophe, and all else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
