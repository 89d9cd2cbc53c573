"""Explode lists into rows, and group rows into lists and aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from potstill.engine.rows.features import common_metadata
from potstill.engine.rows.files import GROUP_ROWS, tables
from potstill.engine.rows.lists import items
from potstill.engine.rows.taking import take
from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.steps.rows.aggregation import Groups, groups_of
from potstill.steps.rows.sort_sample import names

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from potstill.engine.context import Context

Aggregation = Literal["count", "count_distinct", "sum", "mean", "min", "max", "stddev", "first", "last", "any", "all"]
"""Aggregations of a group's values; missing values don't count."""


class Explode(Step):
    """Makes a row of each item of a column's lists; the other columns are repeated.

    The `id` of a list's second item gets `#2` behind it, and so on, so that it still names one row. Rows whose list is
    empty or missing are left out, and counted.

    >>> rows = LoadRows([{"id": "a", "tags": ["x", "y"]}, {"id": "b", "tags": []}, {"id": "c", "tags": ["z"]}])
    >>> show(Explode(rows, "tags"))
    {'id': 'a', 'tags': 'x'}
    {'id': 'a#2', 'tags': 'y'}
    {'id': 'c', 'tags': 'z'}
    """

    rows: Rows
    """Rows with a column of lists."""
    column: str
    """Column whose lists are taken apart."""

    makes: ClassVar[str] = "rows"

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of lists."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def run(self, rows: Dataset, context: Context) -> pa.RecordBatchReader:
        """Return the items as rows, a batch at a time.

        Raises:
            BadInput: the column holds no lists.
        """
        import pyarrow as pa

        fields = rows.features.arrow_schema
        schema = fields.remove_metadata()
        kind = schema.field(self.column).type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
            raise BadInput(
                Problem("", "column", f"column {self.column!r} holds no lists but {kind}: split it with Map")
            )
        place = schema.get_field_index(self.column)
        schema = schema.set(place, pa.field(self.column, kind.value_type))
        others = pa.schema([part for part in fields if part.name != self.column], fields.metadata)
        schema, _ = common_metadata(schema, [others])

        def batches() -> Iterator[pa.RecordBatch]:
            for table in tables(rows):
                yield from self._exploded(table, schema, context).to_batches(max_chunksize=GROUP_ROWS)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _exploded(self, table: pa.Table, schema: pa.Schema, context: Context) -> pa.Table:
        """Return one table exploded; rows without items go to the ledger."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        lists = table[self.column].combine_chunks()
        parents = pc.list_parent_indices(lists).to_numpy()
        columns = {name: table[name].take(pa.array(parents)) for name in table.column_names}
        columns[self.column] = items(lists)
        if "id" in columns and schema.field("id").type == pa.string() and self.column != "id":
            # `parents` is sorted, so the first position of a value is where its list begins
            starts = np.searchsorted(parents, parents)
            places = np.arange(len(parents)) - starts
            # the first item keeps the id, so that lists of one change nothing
            marks = pa.array([f"#{place + 1}" if place else "" for place in places], pa.string())
            columns["id"] = pc.binary_join_element_wise(columns["id"], marks, "")
        context.ledger.keep(len(parents))
        for row in sorted(set(range(table.num_rows)) - set(parents.tolist())):
            name = str(table["id"][row].as_py()) if "id" in table.column_names else "row"
            context.ledger.lose(name, "filtered", "empty list")
        return pa.table([columns[name] for name in schema.names], schema=schema)


class Group(Step):
    """Makes one row of all rows that are equal in some columns; groups come in the order of their first row.

    Only the columns grouped by and those aggregated, and 8 bytes a row, are held in memory.

    >>> rows = LoadRows([{"intent": "on", "text": "lights on", "n": 1}, {"intent": "off", "text": "stop", "n": 5},
    ...                  {"intent": "on", "text": "switch on", "n": 2}])
    >>> show(Group(rows, by="intent", collect=["text"], aggregate={"rows": ("n", "count"), "most": ("n", "max")}))
    {'intent': 'on', 'text': ['lights on', 'switch on'], 'rows': 2, 'most': 2}
    {'intent': 'off', 'text': ['stop'], 'rows': 1, 'most': 5}
    """

    rows: Rows
    """Rows to group."""
    _: KW_ONLY
    by: str | tuple[str, ...] | list[str]
    """Column, or columns, in which a group's rows agree; missing values make a group too."""
    collect: tuple[str, ...] | list[str] = ()
    """Columns whose values are collected to a list, in the order of the rows."""
    aggregate: Mapping[str, tuple[str, Aggregation]] = field(default_factory=dict)
    """New columns: name to (column, what is made of its values)."""

    version: ClassVar[int] = 2  # sums do not wrap around, and means of decimals are not rounded
    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if not self.by:
            yield Problem("", "by", "names no column: give at least one")
        new_columns = [*names(self.by), *self.collect, *self.aggregate]
        for name in sorted({name for name in new_columns if new_columns.count(name) > 1}):
            yield Problem("", "aggregate", f"column {name!r} would be made twice: give the new one another name")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": {*names(self.by), *self.collect, *(column for column, _ in self.aggregate.values())}}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns grouped by, collected and made."""
        return frozenset((*names(self.by), *self.collect, *self.aggregate))

    def run(self, rows: Dataset) -> pa.RecordBatchReader:
        """Return the groups, a batch at a time.

        Raises:
            BadInput: a column can't be grouped by, or aggregated so.
        """
        import pyarrow as pa

        groups = self._groups(rows)
        collected = rows.select_columns(list(self.collect)).with_format("arrow")[:] if self.collect else None

        def table(start: int, count: int) -> pa.Table:
            columns: dict[str, Any] = {name: column.slice(start, count) for name, column in groups.keys.items()}
            lists = groups.numbers.slice(start, count)
            for name in self.collect:
                assert collected is not None
                values = take(collected[name], lists.flatten()).combine_chunks()
                columns[name] = pa.ListArray.from_arrays(_offsets(lists), values)
            for name, (column, function) in self.aggregate.items():
                columns[name] = groups.made[column, function].slice(start, count)
            return pa.table(columns)

        batches = (
            batch
            for start in range(0, len(groups.numbers), GROUP_ROWS)
            for batch in table(start, GROUP_ROWS).combine_chunks().to_batches()
        )
        # an empty slice has the schema, which a reader needs before its first batch
        return pa.RecordBatchReader.from_batches(table(0, 0).schema, batches)

    def _groups(self, rows: Dataset) -> Groups:
        """Return the groups."""
        asked = list(dict.fromkeys(self.aggregate.values()))
        wanted = list(dict.fromkeys((*names(self.by), *(column for column, _ in asked))))
        return groups_of(rows.select_columns(wanted).with_format("arrow")[:], names(self.by), asked)


def _offsets(lists: pa.ListArray) -> pa.Array:
    """Return where each list begins in the values of this slice."""
    import numpy as np
    import pyarrow as pa

    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
