"""Concatenate the rows of several steps, or zip their columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from functools import partial
from operator import add
from typing import TYPE_CHECKING, ClassVar

from potstill.engine.rows.casting import recast_table
from potstill.engine.rows.common_types import common_schema
from potstill.engine.rows.features import common_metadata
from potstill.engine.rows.files import beside, tables
from potstill.engine.rows.flaws import Flawed
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


class Concat(Step):
    """Puts the rows of several steps below one another, in the order given.

    >>> real = LoadRows([{"text": "on", "source": "human"}])
    >>> made = LoadRows([{"text": "off"}])
    >>> show(Concat([real, made], fill=True))
    {'text': 'on', 'source': 'human'}
    {'text': 'off', 'source': None}
    """

    rows: list[Rows] | tuple[Rows, ...]
    """Steps whose rows follow one another."""
    _: KW_ONLY
    fill: bool = False
    """Whether a column that some lack is left empty there; otherwise that is an error, since it may be misspelled."""

    makes: ClassVar[str] = "rows"

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of all.

        Raises:
            BadInput: some lack a column, and `fill` does not say that this is meant.
        """
        parts = [inputs.get(f"rows[{number}]") for number in range(len(self.rows))]
        resolved = [part for part in parts if part is not None]
        if not self.fill:
            _same(parts)
            return resolved[0] if resolved else None
        return frozenset().union(*resolved) if len(resolved) == len(parts) else None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of all."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: list[Dataset]) -> pa.RecordBatchReader:
        """Return the rows of all, a batch at a time.

        Raises:
            BadInput: the columns differ, in name or in type.
        """
        import pyarrow as pa

        if not self.fill:
            _same([frozenset(part.column_names) for part in rows])
        parts = [part.features.arrow_schema for part in rows]
        schema, wrong = common_schema(parts)
        schema, unlike = common_metadata(schema, parts)
        wrong += unlike
        if wrong:
            raise BadInput(*(Problem("", "rows", f"{text}: give the column one type") for text in wrong))

        def batches() -> Iterator[pa.RecordBatch]:
            for number, part in enumerate(rows):
                start = 0
                for table in tables(part):
                    try:
                        yield from recast_table(table, schema).to_batches()
                    except Flawed as error:
                        # flaws count rows from the table's start; users know the number in the whole input
                        flaws = error.inside("", partial(add, start)).flaws
                        raise BadInput(*(Problem("", "rows", f"input {number}, {flaw}") for flaw in flaws)) from error
                    start += table.num_rows

        return pa.RecordBatchReader.from_batches(schema, batches())


class Zip(Step):
    """Puts the rows of several steps side by side: the first with the first, and so on.

    >>> texts = LoadRows([{"text": "on"}, {"text": "off"}])
    >>> labels = LoadRows([{"label": 1}, {"label": 0}])
    >>> show(Zip([texts, labels]))
    {'text': 'on', 'label': 1}
    {'text': 'off', 'label': 0}
    """

    rows: list[Rows] | tuple[Rows, ...]
    """Steps with equally many rows, and no column in common."""

    makes: ClassVar[str] = "rows"

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of all.

        Raises:
            BadInput: two steps have the same column.
        """
        parts = [inputs.get(f"rows[{number}]") for number in range(len(self.rows))]
        resolved = [part for part in parts if part is not None]
        twice = sorted(name for name, times in Counter(name for part in resolved for name in part).items() if times > 1)
        if twice:
            raise BadInput(Problem("", "rows", f"several have a column {', '.join(twice)}: drop or rename all but one"))
        return frozenset().union(*resolved) if len(resolved) == len(parts) else None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of one."""
        total = rows.get("rows")
        # `rows` counts the rows of all inputs together, which are equally many
        return Estimate(rows=None if total is None else total // len(self.rows))

    def run(self, rows: list[Dataset]) -> pa.RecordBatchReader:
        """Return the rows side by side, a batch at a time.

        Raises:
            BadInput: they are not equally many, or have a column in common.
        """
        import pyarrow as pa

        self.columns({f"rows[{number}]": frozenset(part.column_names) for number, part in enumerate(rows)})
        if len({len(part) for part in rows}) > 1:
            counts = ", ".join(str(len(part)) for part in rows)
            raise BadInput(
                Problem("", "rows", f"there are {counts} rows, not equally many: use Join on a common column")
            )
        parts = [part.features.arrow_schema for part in rows]
        schema, _ = common_metadata(pa.schema([field for part in parts for field in part]), parts)

        def batches() -> Iterator[pa.RecordBatch]:
            for group in beside(rows):
                yield from pa.table([column for table in group for column in table.columns], schema=schema).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())


def _same(parts: Iterable[frozenset[str] | None]) -> None:
    """Check that all inputs have the same columns, where the columns are known.

    Raises:
        BadInput: naming what each lacks.
    """
    by_input = {number: part for number, part in enumerate(parts) if part is not None}
    together = frozenset().union(*by_input.values())
    lacking = [
        f"input {number} lacks {', '.join(sorted(together - part))}"
        for number, part in by_input.items()
        if together - part
    ]
    if lacking:
        text = f"the columns differ: {'; '.join(lacking)}"
        raise BadInput(Problem("", "rows", f"{text}. Rename or drop them, or say fill=True to leave them empty there"))
