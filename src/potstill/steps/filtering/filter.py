"""Steps that drop rows, and what they share; each reason goes to the ledger."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.rows.casting import records
from potstill.engine.rows.files import tables
from potstill.errors import BadInput
from potstill.steps.rows.base import RowsStep, TextFilterStep
from potstill.text.json_values import load_json
from potstill.text.reasoning import after_thoughts

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

SCAN = 1000
"""Rows that are read together."""
EXAMPLES = 3
"""Rows that are named when all were removed."""


@dataclass(frozen=True)
class Objection:
    """Why a row is dropped."""

    reason: str
    """A short phrase that many rows share."""
    detail: str = ""
    """What is particular to this row."""


def keep_rows(rows: Dataset, context: Context, objections: Iterable[Objection | None]) -> Dataset:
    """Return the rows to which there is no objection, in their order and with their types; the others are lost.

    `objections` are taken one a row; they may be a generator, which need not hold anything but what it reads.

    Raises:
        BadInput: every row was removed.
    """
    # 8 bytes a row; a list of Python integers would take 36
    stays = array("q")
    counts: Counter[str] = Counter()
    examples: list[str] = []
    number = 0
    for number, (name, objection) in enumerate(zip(names(rows), objections, strict=True), 1):
        if objection is None:
            stays.append(number - 1)
        else:
            context.ledger.lose(name, "filtered", objection.reason, objection.detail)
            counts[objection.reason] += 1
            if len(examples) < EXAMPLES:
                examples.append(f"{name} ({(objection.detail or objection.reason)[:80]})")
    if number and not stays:
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
        raise BadInput(
            f"all {number} rows were removed: {reasons}; the first were {', '.join(examples)}. "
            "Loosen the filter, or look at what its rows hold"
        )
    context.ledger.keep(len(stays))
    return rows if len(stays) == number else rows.select(stays)


def scan(rows: Dataset, columns: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows as plain dicts, with no more columns than are asked for, and never many in memory."""
    chosen = rows if columns is None else rows.select_columns(list(dict.fromkeys(columns)))
    for table in tables(chosen, SCAN):
        yield from records(table)


def names(rows: Dataset) -> Iterator[str]:
    """Yield what the ledger calls each row: its `id`, or its number if it has none."""
    if "id" in rows.column_names:
        return (str(row["id"]) for row in scan(rows, ["id"]))
    return map(str, range(len(rows)))


def cells(rows: Dataset, column: str) -> Callable[[int], Any]:
    """Return a function that reads one cell of a column by the row's number, without reading the others."""
    from potstill.engine.rows.casting import values

    column_values = rows.select_columns([column]).with_format("arrow")[:][column]
    return lambda number: values(column_values.slice(number, 1))[0]


def name_of(rows: Dataset) -> Callable[[int], str]:
    """Return a function that names a row by its number."""
    if "id" not in rows.column_names:
        return str
    cell = cells(rows, "id")
    return lambda number: str(cell(number))


class FilterRows(RowsStep):
    """Keeps the rows that a function of one's own says yes to.

    >>> rows = LoadRows([{"instruction": "Stop"}, {"instruction": "Open the blinds"}])
    >>> show(FilterRows(rows, keep=lambda row: " " in row["instruction"], reason="one word"))
    {'instruction': 'Open the blinds'}
    """

    _: KW_ONLY
    keep: Callable[[Mapping[str, Any]], bool]
    """Gets a row, says whether it stays; its code is part of the key."""
    reason: str = "dropped by keep"
    """What the counts call the rows that went."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that stay."""
        return keep_rows(rows, context, (None if self.keep(row) else Objection(self.reason) for row in scan(rows)))


class ValidJSON(TextFilterStep):
    """Keeps rows whose text is one JSON object; a model's thoughts before it are not looked at.

    >>> rows = LoadRows([{"output": '{"room": "den"}'}, {"output": "the den"}, {"output": "{}"}])
    >>> show(ValidJSON(rows, keys=("room",)))
    {'output': '{"room": "den"}'}
    """

    _: KW_ONLY
    column: str = "output"
    """Where the text is."""
    keys: tuple[str, ...] = ()
    """Keys that the object must have; others may be there too unless `exact`."""
    exact: bool = False
    """Whether it may have no other keys."""

    version: ClassVar[int] = 2  # thoughts before the object are not looked at

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that stay."""
        return keep_rows(rows, context, (self._objection(row[self.column]) for row in scan(rows, [self.column])))

    def _objection(self, text: str) -> Objection | None:
        problem = json_problem(text, self.keys, self.exact)
        return Objection(problem, f"{text!r:.80}") if problem else None


def json_problem(text: str, keys: tuple[str, ...] = (), exact: bool = False) -> str:
    """Return why `text` is no JSON object with these `keys`, or an empty string."""
    try:
        value = load_json(after_thoughts(text))
    except (ValueError, AttributeError):  # the latter where there is no text
        return "invalid JSON"
    if not isinstance(value, dict):
        return "JSON, but no object"
    if not set(keys) <= value.keys():
        return "JSON object lacks a key"
    return "JSON object has another key" if exact and value.keys() - set(keys) else ""
