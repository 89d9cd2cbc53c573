"""Columns that show only when a step runs: it may refuse them then, as it does those that are known before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from potstill.engine.step import Step


def check_columns(step: Step, arguments: Mapping[str, Any]) -> None:
    """Let a step refuse columns of its rows that were not known when the pipeline was planned.

    Args:
        step: the step that is about to run.
        arguments: what its `run` gets, by field.

    Raises:
        RequestError: it refuses some.
    """
    held: dict[str, frozenset[str]] = {}
    for name, value in arguments.items():
        columns = {place: frozenset(rows.column_names) for place, rows in _parts(name, value)}
        if columns:
            held |= {**columns, name: frozenset.intersection(*columns.values())}
    if held:
        step.columns(held)


def _parts(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of a field, each as `field[key]` where it holds several."""
    listed = dict(enumerate(value)) if isinstance(value, (list, tuple)) else value
    several = {f"{name}[{key}]": rows for key, rows in listed.items()} if isinstance(listed, Mapping) else None
    placed = {name: value} if several is None else several
    yield from ((place, rows) for place, rows in placed.items() if hasattr(rows, "column_names"))
