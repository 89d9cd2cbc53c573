"""Tokenized rows, stored before training; rows that can't be trained on are left out with the reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.engine.ledger import Ledger
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example, Examples

ExampleOf = Callable[[Mapping[str, Any]], "Example | str"]
"""Tokenizes a row, or returns why it can't be trained on."""


def stored(rows: Dataset, example_of: ExampleOf, context: TrainingContext) -> Examples:
    """Return the tokenized rows, with the validation rows if there are any.

    Rows for which `example_of` returns a reason are left out and counted.

    Raises:
        BadInput: no row is left to train on, or none to evaluate on.
    """
    lost = Counter[str]()
    examples = _tokenized(rows, example_of, context.work / "examples", lost, context.ledger)
    if not len(examples):
        raise BadInput(f"no row to train on: {_reasons(lost)}")
    if lost:
        context.logger.warning("left out %d of %d rows: %s", lost.total(), lost.total() + len(examples), dict(lost))
    if context.validation is None:
        return examples
    return replace(examples, validation=_validated(context.validation, example_of, context))


def _validated(rows: Dataset, example_of: ExampleOf, context: Context) -> Examples:
    """Return the tokenized validation rows.

    Raises:
        BadInput: none is left, or they lack a column that the training rows have.
    """
    lost = Counter[str]()
    try:
        examples = _tokenized(rows, example_of, context.work / "validation", lost, None)
    except KeyError as error:
        raise BadInput(f"validation: the rows have no column {error}: make them as the training rows are") from error
    if not len(examples):
        raise BadInput(f"validation: no row to evaluate on: {_reasons(lost)}")
    context.notes["validation rows"] = len(examples)
    if lost:
        context.logger.warning(
            "evaluates on %d of %d rows: %s", len(examples), lost.total() + len(examples), dict(lost)
        )
    return examples


def _tokenized(
    rows: Dataset, example_of: ExampleOf, folder: Path, lost: Counter[str], ledger: Ledger | None
) -> Examples:
    """Write tokenized rows, and their ids beside them, to `folder`; count those that are `lost`, with the reason."""
    from potstill.trainers.loop.examples import store
    from potstill.trainers.loop.failure_messages import IDS

    folder.mkdir(parents=True, exist_ok=True)

    def examples(ids: IO[str]) -> Iterator[Example]:
        for number, row in enumerate(rows):
            example = example_of(row)
            name = str(row.get("id", number))
            if isinstance(example, str):
                lost[example] += 1
                if ledger is not None:
                    ledger.lose(name, "filtered", example)
            else:
                if ledger is not None:
                    ledger.keep()
                ids.write(json.dumps(name) + "\n")
                yield example

    with (folder / IDS).open("w", encoding="utf-8") as ids:
        return store(examples(ids), folder)


def _reasons(lost: Counter[str]) -> str:
    """Return a text of why rows were lost."""
    return ", ".join(f"{count} x {reason}" for reason, count in lost.most_common()) or "there is none"
