"""Columns that a step adds to its rows; none may replace an existing one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from potstill.engine.step import Step
from potstill.errors import BadInput, Problem
from potstill.prompts import FOLDER, conversation_hint, required_variables, template_text

REASON = "finish_reason"
"""Column that says how the newest answer ended."""


def added(
    step: Step, rows: frozenset[str] | None, new: Iterable[str], edge: str = "rows", given: Iterable[str] = ()
) -> frozenset[str] | None:
    """Return the columns of `rows` and the `new` ones of `step`; None where those of the rows are unknown.

    Args:
        step: whose columns they are.
        rows: the columns that are there.
        new: the columns that the step adds.
        edge: the field of the rows.
        given: variables that the step gives a template of the user's own, and that may mean no column of the rows.

    Raises:
        BadInput: the rows have a column of such a name, or hold conversations that the step's template doesn't show.
    """
    if rows is None:
        return None
    problems = [_replaced(step, name, edge) for name in sorted(rows & set(new))]
    problems += [_hidden(step, name, edge) for name in sorted(rows & set(given) & _own_variables(step))]
    prompt = getattr(step, "prompt", None)
    hint = conversation_hint(prompt, rows) if isinstance(prompt, str) else ""
    problems += [Problem("", "prompt", hint)] if hint else []
    if problems:
        raise BadInput(*problems)
    return rows | set(new)


def answered(rows: frozenset[str] | None, columns: frozenset[str] | None) -> frozenset[str] | None:
    """Return the `columns` made of `rows`, with the finish reasons of the newest answer and of earlier ones."""
    if rows is None or columns is None:
        return None
    return columns | {REASON} | ({earlier(rows)} if REASON in rows else set())


def earlier(columns: Collection[str]) -> str:
    """Return the column that keeps the reason of an earlier answer, when a new one gets `finish_reason`."""
    number = 1
    while f"{REASON}_{number}" in columns:
        number += 1
    return f"{REASON}_{number}"


def with_answer(row: Mapping[str, Any], output: str, text: str, reason: str) -> dict[str, Any]:
    """Return the row with an answer in `output` and its finish reason; an earlier answer's is renamed and kept."""
    previous = {earlier(row): row[REASON]} if REASON in row else {}
    return {**row, **previous, output: text, REASON: reason}


def _own_variables(step: Step) -> frozenset[str]:
    """Return the variables of the step's templates that are the user's own; built-in ones mean what the step gives."""
    # compared by text, since a template field may hold a name, a path or the text itself
    built_in = {path.read_text(encoding="utf-8") for path in FOLDER.glob("*.jinja")}
    texts = [value for field in ("prompt", "curate") if isinstance(value := getattr(step, field, None), str)]
    return frozenset(name for text in texts if template_text(text) not in built_in for name in required_variables(text))


def _replaced(step: Step, name: str, edge: str) -> Problem:
    """Return the problem that the step would replace a column."""
    fields = [field.name for field in dataclasses.fields(step) if getattr(step, field.name) == name]
    other = f", or choose another name with {fields[0]}=" if fields else ""
    text = f"has a column {name} already, which {type(step).__name__} would replace"
    return Problem("", edge, f"{text}: {_rename(name)}{other}")


def _hidden(step: Step, name: str, edge: str) -> Problem:
    """Return the problem that a template can't show a column."""
    text = f"has a column {name}, which the template can't show, as {type(step).__name__} gives its own {name}"
    return Problem("", edge, f"{text}: {_rename(name)}")


def _rename(name: str) -> str:
    """Return how to rename or drop a column."""
    return f'rename it first, Rename(rows, {{"{name}": "earlier_{name}"}}), or leave it out, Drop(rows, ["{name}"])'
