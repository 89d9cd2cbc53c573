"""Messages of failures of a training, with what to do about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.engine.running import out_of_memory
from potstill.errors import PotstillError

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


@contextmanager
def memory_explained(schedule: Schedule) -> Iterator[None]:
    """Add to an out-of-memory error what to change.

    Raises:
        PotstillError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory.ran_out(error):
            raise
        raise PotstillError(out_of_memory.explained(error, "while training", _remedies(schedule))) from error


def _remedies(schedule: Schedule) -> str:
    """Return what to change, the cheapest first."""
    checkpointing = "" if schedule.gradient_checkpointing else "set gradient_checkpointing=True, "
    adapters = "" if schedule.paged else ", or train a language model with qlora=True"
    return (
        f"lower micro_batch_tokens ({schedule.budget} now; it changes no result), {checkpointing}"
        f"take shorter rows (max_length) or a smaller batch_size ({schedule.batch_size} now){adapters}"
    )
