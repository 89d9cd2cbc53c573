"""Messages of failures of a training, with what to do about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from potstill.trainers.loop.schedule import Schedule

MOST_NAMED = 10
"""Rows that a message names; more are only counted."""
IDS = "ids.jsonl"
"""File beside the tokenized rows: the id of each, one a line."""


def not_finite(what: str, value: float, step: int, rows: str, schedule: Schedule, checkpoint: Path | None) -> str:
    """Return the message for a loss or gradient that is NaN or infinite."""
    saved = f"; the weights of step {checkpoint.name.rpartition('-')[2]} are kept in {checkpoint}" if checkpoint else ""
    return (
        f"the {what} became {value} at step {step}, in a batch of {rows}: look at these, lower the learning_rate "
        f"({schedule.learning_rate:g} now) or raise the warmup{saved}"
    )


def named(rows: Sequence[int], folder: Path) -> str:
    """Return a text that names rows by their ids, which lie in `folder`.

    >>> named([4, 2], Path("nowhere"))
    'the rows number 2, number 4'
    """
    first = sorted(rows)[:MOST_NAMED]
    ids: dict[int, str] = {}
    if (folder / IDS).exists():
        with (folder / IDS).open(encoding="utf-8") as file:
            ids = {number: repr(json.loads(line)) for number, line in enumerate(file) if number in first}
    more = f" and {len(rows) - len(first)} more" if len(rows) > len(first) else ""
    return f"the rows {', '.join(ids.get(number, f'number {number}') for number in first)}{more}"
