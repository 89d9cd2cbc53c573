"""Join the rows of two steps on equal columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from potstill.engine.rows import sizes
from potstill.engine.rows.casting import recast_table
from potstill.engine.rows.common_types import unified
from potstill.engine.rows.features import common_metadata
from potstill.engine.rows.files import GROUP_BYTES, GROUP_ROWS
from potstill.engine.rows.flaws import Flawed
from potstill.engine.rows.taking import take
from potstill.engine.rows.types import Unfit
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.steps.rows.sort_sample import names

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasets import Dataset
    from numpy.typing import NDArray

LEFT, RIGHT = "\0left", "\0right"
"""Columns with the row numbers of both sides; no name of the user's starts like this."""
TYPES = {"inner": "inner", "left": "left outer", "outer": "full outer", "semi": "left semi", "anti": "left anti"}
"""How Arrow calls the kinds of join."""


class Join(Step):
    """Matches the rows of two steps that are equal in some columns; a missing value matches nothing.

    Numbers, times and texts are compared by value, however many bytes each side keeps them in.

    Rows come in the order of `left`, and for each in that of `right`. Only the columns that are matched, and 16 bytes a
    row, are held in memory.

    >>> texts = LoadRows([{"id": "a", "text": "on"}, {"id": "b", "text": "off"}])
    >>> votes = LoadRows([{"id": "b", "vote": "no"}, {"id": "a", "vote": "yes"}, {"id": "a", "vote": "no"}])
    >>> show(Join(texts, votes, on="id"))
    {'id': 'a', 'text': 'on', 'vote': 'yes'}
    {'id': 'a', 'text': 'on', 'vote': 'no'}
    {'id': 'b', 'text': 'off', 'vote': 'no'}
    """

    left: Rows
    """Rows to match."""
    right: Rows
    """Rows to match them with."""
    _: KW_ONLY
    on: str | tuple[str, ...] | list[str]
    """Column, or columns, that both have and that must agree."""
    how: Literal["inner", "left", "outer", "semi", "anti"] = "inner"
    """`inner` keeps matches; `left` also what of `left` has none; `outer` what of either has none; `semi` keeps rows of
    `left` that have a match, and `anti` those that have none, both without columns of `right`."""
    suffix: str = ""
    """Put behind a column of `right` that `left` has too; without one, that is an error."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield a problem if no column is matched."""
        if not self.on:
            yield Problem("", "on", "names no column: give at least one")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are matched."""
        return {"left": names(self.on), "right": names(self.on)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of both.

        Raises:
            BadInput: both have a column that is not matched, and there is no `suffix`.
        """
        left, right = inputs.get("left"), inputs.get("right")
        if self.how in ("semi", "anti") or left is None or right is None:
            return left if self.how in ("semi", "anti") else None
        renamed = {name: name + self.suffix * (name in left) for name in right - frozenset(names(self.on))}
        taken = sorted(name for name, new in renamed.items() if new in left)
        if taken:
            text = f"both sides have a column {', '.join(taken)}: drop or rename it on one side, or give a suffix"
            raise BadInput(Problem("", "suffix", text))
        return left | frozenset(renamed.values())

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume one match a row of `left`."""
        return Estimate(rows=rows.get("left"))

    def run(self, left: Dataset, right: Dataset) -> pa.RecordBatchReader:
        """Return the matched rows, a batch at a time.

        Raises:
            BadInput: the columns can't be compared, or clash.
        """
        import pyarrow as pa

        self.columns({"left": frozenset(left.column_names), "right": frozenset(right.column_names)})
        here, there = left.with_format("arrow")[:], right.with_format("arrow")[:]
        alike = self._alike(here, there)
        pairs = self._pairs(*alike)
        if self.how == "outer":
            here, there = alike  # else what is matched is of the left side, as it is there
        schema = self._known(_joined(here, there, pairs.slice(0, 0), self).schema, left, right)

        def batches() -> Iterator[pa.RecordBatch]:
            for start, end in sizes.ranges(_pair_bytes(here, there, pairs), GROUP_ROWS, GROUP_BYTES):
                joined = _joined(here, there, pairs.slice(start, end - start), self)
                yield from joined.replace_schema_metadata(schema.metadata).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _known(self, schema: pa.Schema, left: Dataset, right: Dataset) -> pa.Schema:
        """Return the schema of the result with the column metadata of both sides.

        Raises:
            BadInput: the metadata of a matched column differ.
        """
        right_only = right.select_columns([name for name in right.column_names if name not in left.column_names])
        both = [left.features.arrow_schema, right_only.features.arrow_schema]
        shared = right.select_columns(list(names(self.on)))
        described, wrong = common_metadata(schema, [*both, shared.features.arrow_schema])
        if wrong:
            raise BadInput(*(Problem("", "on", text) for text in wrong))
        return described

    def _alike(self, left: pa.Table, right: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return both sides with the columns that are matched in the one type that holds the values of both.

        Raises:
            BadInput: there is none, or a value would change in it.
        """
        schemas = [left.schema, right.schema]
        for name in names(self.on):
            kinds = [schema.field(name).type for schema in schemas]
            with contextlib.suppress(Unfit):  # which Arrow says of the whole
                together = unified(*kinds)
                schemas = [
                    schema.set(schema.get_field_index(name), schema.field(name).with_type(together))
                    for schema in schemas
                ]
        try:
            left_cast, right_cast = (
                table if table.schema.equals(schema) else recast_table(table, schema)
                for table, schema in zip((left, right), schemas, strict=True)
            )
        except Flawed as error:
            raise BadInput(*(Problem("", "on", str(flaw)) for flaw in error.flaws)) from error
        return left_cast, right_cast

    def _pairs(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Return the numbers of the rows that go together, in order; a side without a match is missing."""
        import numpy as np
        import pyarrow as pa

        on = list(names(self.on))
        left_keys = left.select(on).append_column(LEFT, pa.array(np.arange(left.num_rows)))
        right_keys = right.select(on).append_column(RIGHT, pa.array(np.arange(right.num_rows)))
        try:
            # only keys and row numbers are joined: Arrow joins no nested columns, and the pairs fit in memory
            joined = left_keys.join(right_keys, keys=on, join_type=TYPES[self.how], use_threads=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            kinds = "; ".join(f"{name}: {left_keys.field(name).type} and {right_keys.field(name).type}" for name in on)
            raise BadInput(Problem("", "on", f"the columns can't be compared ({kinds})")) from error
        sides = [name for name in (LEFT, RIGHT) if name in joined.column_names]
        return joined.select(sides).sort_by([(name, "ascending") for name in sides])


def _pair_bytes(left: pa.Table, right: pa.Table, pairs: pa.Table) -> NDArray[np.int64]:
    """Return what each row of the result takes."""
    import numpy as np

    total = np.zeros(pairs.num_rows, np.int64)
    for side, table in ((LEFT, left), (RIGHT, right)):
        if side in pairs.column_names:
            numbers = pairs[side].fill_null(-1).to_numpy()
            total += np.append(sizes.row_bytes(table), 0)[numbers]  # a side without a match is the last
    return total


def _joined(left: pa.Table, right: pa.Table, pairs: pa.Table, join: Join) -> pa.Table:
    """Return the rows of a slice of the pairs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {name: take(left[name], pairs[LEFT]) for name in left.column_names}
    if RIGHT in pairs.column_names:
        for name in right.column_names:
            taken = take(right[name], pairs[RIGHT])
            if name in names(join.on):
                columns[name] = pc.coalesce(columns[name], taken) if join.how == "outer" else columns[name]
            else:
                columns[name + join.suffix * (name in left.column_names)] = taken
    return pa.table(columns)
