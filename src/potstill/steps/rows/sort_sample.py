"""Sort, shuffle, take, skip and shard rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.engine.step import Estimate
from potstill.errors import BadInput, Problem
from potstill.steps.rows.base import RowsStep

if TYPE_CHECKING:
    from datasets import Dataset


class Sort(RowsStep):
    """Sorts rows by one or several columns; rows that are equal there keep their order, missing values come last.

    Only the columns sorted by, and 8 bytes a row, are held in memory.

    >>> rows = LoadRows([{"word": "pear", "n": 2}, {"word": "fig", "n": 3}, {"word": "plum", "n": 2}])
    >>> show(Sort(rows, "n"))
    {'word': 'pear', 'n': 2}
    {'word': 'plum', 'n': 2}
    {'word': 'fig', 'n': 3}
    """

    by: str | tuple[str, ...] | list[str]
    """Column, or columns of which the first counts most; texts are compared by code points, so `Z` is before `a`."""
    _: KW_ONLY
    descending: bool | tuple[bool, ...] | list[bool] = False
    """Largest first; several say it for each column of `by`."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if not self.by:
            yield Problem("", "by", "names no column: give at least one")
        if not isinstance(self.descending, bool) and len(self.descending) != len(names(self.by)):
            text = f"says {len(self.descending)} directions for {len(names(self.by))} columns"
            yield Problem("", "descending", f"{text}: give one for each, or one for all")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared."""
        return {"rows": names(self.by)}

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows in order.

        Raises:
            BadInput: a column has no order.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        by = names(self.by)
        down = [self.descending] * len(by) if isinstance(self.descending, bool) else self.descending
        keys = [(name, "descending" if last else "ascending") for name, last in zip(by, down, strict=True)]
        table = rows.select_columns(list(by)).with_format("arrow")[:]
        try:
            order = pc.sort_indices(table, sort_keys=keys)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            kinds = ", ".join(f"{name} holds {table.schema.field(name).type}" for name in by)
            raise BadInput(Problem("", "by", f"these have no order ({kinds}): sort by texts or numbers")) from error
        return rows.select(order.cast(pa.int64()).to_numpy())  # with unsigned ones, rows in order already fail


class Shuffle(RowsStep):
    """Puts rows in an order drawn by `seed`; 8 bytes a row are held in memory.

    >>> rows = LoadRows([{"n": number} for number in range(4)])
    >>> show(Shuffle(rows, seed=2))
    {'n': 3}
    {'n': 2}
    {'n': 0}
    {'n': 1}
    """

    _: KW_ONLY
    seed: Annotated[int, Ge(0)] = 0
    """Another seed gives another order."""

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows in the drawn order."""
        import numpy as np

        return rows.select(np.random.Generator(np.random.PCG64(self.seed)).permutation(len(rows)))


class Take(RowsStep):
    """Keeps the first rows; all of them where there are fewer.

    >>> rows = LoadRows([{"n": number} for number in range(4)])
    >>> show(Take(rows, 2))
    {'n': 0}
    {'n': 1}
    """

    count: Annotated[int, Ge(1)]
    """How many rows are kept."""

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows that are kept."""
        total = rows.get("rows")
        return Estimate(rows=None if total is None else min(total, self.count))

    def run(self, rows: Dataset) -> Dataset:
        """Return the first rows."""
        return chosen(rows, range(min(self.count, len(rows))))


class Skip(RowsStep):
    """Leaves the first rows out; with fewer rows than that, none are left.

    >>> rows = LoadRows([{"n": number} for number in range(4)])
    >>> show(Skip(rows, 3))
    {'n': 3}
    """

    count: Annotated[int, Ge(0)]
    """How many rows are left out."""

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows that are left."""
        total = rows.get("rows")
        return Estimate(rows=None if total is None else max(total - self.count, 0))

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows after the first ones."""
        return chosen(rows, range(self.count, len(rows)))


class Shard(RowsStep):
    """Keeps every n-th row, so that n steps share the work: row r goes to shard r mod n.

    >>> rows = LoadRows([{"n": number} for number in range(5)])
    >>> show(Shard(rows, count=2, index=1))
    {'n': 1}
    {'n': 3}
    """

    _: KW_ONLY
    count: Annotated[int, Ge(1)]
    """How many shards there are."""
    index: Annotated[int, Ge(0)]
    """Which of them this is, from 0."""

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no such shard."""
        if self.index >= self.count:
            yield Problem("", "index", f"must be < count={self.count}, got {self.index}: the first shard is 0")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of this shard."""
        total = rows.get("rows")
        return Estimate(rows=None if total is None else len(range(self.index, total, self.count)))

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows of this shard."""
        return chosen(rows, range(self.index, len(rows), self.count))


def chosen(rows: Dataset, numbers: range) -> Dataset:
    """Return the rows with these numbers; a dataset can't choose an empty range behind its end."""
    return rows.select(numbers if numbers else [])


def names(columns: str | Iterable[str]) -> tuple[str, ...]:
    """Return one column or several as a tuple."""
    return (columns,) if isinstance(columns, str) else tuple(columns)
