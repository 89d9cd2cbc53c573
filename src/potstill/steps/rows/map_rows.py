"""Map rows with a function of the user's; its code is part of the key."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.encoding import digest
from potstill.engine.rows.copies import copied
from potstill.engine.rows.dicts import checked, chunks
from potstill.engine.rows.files import GROUP_BYTES, GROUP_ROWS
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, StoreError, described

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class Map(Step):
    """Adds to each row, or changes in it, what a function returns for it.

    Finished rows are journalled, and a row for which the function raises is lost alone: the next run tries it again.

    >>> rows = LoadRows([{"text": "turn it on"}, {"text": "stop"}])
    >>> show(Map(rows, lambda row: {"words": len(row["text"].split())}))
    {'text': 'turn it on', 'words': 3}
    {'text': 'stop', 'words': 1}
    """

    rows: Rows
    """Rows to go through."""
    function: Callable[[dict[str, Any]], Mapping[str, Any] | None]
    """Gets a row, returns the columns that are new or changed; None drops the row. It must depend on the row alone."""
    _: KW_ONLY
    adds: tuple[str, ...] | list[str] = ()
    """Columns that the function adds; named, they are known before anything runs, and any other is an error."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of rows that may fail; 0, for a function that raises is usually wrong."""

    makes: ClassVar[str] = "rows"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"max_failed"})

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and those that are added, if they are named."""
        present = inputs.get("rows")
        return present | frozenset(self.adds) if self.adds and present is not None else None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with what the function returns for them."""
        allowed = {*rows.column_names, *self.adds}
        return context.each(rows, lambda row: self._changed(row, allowed))

    def _changed(self, row: dict[str, Any], allowed: set[str]) -> dict[str, Any] | None:
        """Return a row with what the function returns for it; the function gets a copy.

        Raises:
            BadInput: the function returns something else, or columns that were not named.
        """
        # a copy, since a function may change its argument
        new_columns = self.function(copied(row))
        if new_columns is None:
            return None
        if not isinstance(new_columns, Mapping):
            kind = type(new_columns).__name__
            raise BadInput(f"the function returned a {kind}, not a dict of columns: {new_columns!r:.60}")
        unnamed = sorted(new_columns.keys() - allowed)
        if self.adds and unnamed:
            raise BadInput(f"the function returned {', '.join(unnamed)}, which adds= does not name")
        return {**row, **new_columns}


class MapBatches(Step):
    """Replaces many rows at once by those that a function returns for them, which may be more or fewer.

    If it raises, its rows are tried one by one, so that one bad row does not take the others with it.

    >>> rows = LoadRows([{"n": 1}, {"n": 2}, {"n": 3}])
    >>> show(MapBatches(rows, lambda batch: [{"n": row["n"], "of": len(batch)} for row in batch], batch_size=2))
    {'n': 1, 'of': 2}
    {'n': 2, 'of': 2}
    {'n': 3, 'of': 1}
    """

    rows: Rows
    """Rows to go through."""
    function: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]
    """Gets a list of rows, returns a list of rows."""
    _: KW_ONLY
    batch_size: Annotated[int, Ge(1)] = 1000
    """Rows that the function gets at once; the last time fewer. The result may depend on it, so it is keyed."""
    batch_bytes: Annotated[int, Ge(1)] | None = None
    """Bytes that end a batch before it has all its rows, for long texts: what is held is this and a row. None: however
    long they are, since some functions need their whole batch."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of rows that may fail; 0, for a function that raises is usually wrong."""

    makes: ClassVar[str] = "rows"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"max_failed"})
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"batch_bytes"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume a row for each."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows that the function returns."""
        number = 0
        for chunk in chunks(rows, self.batch_size, self.batch_bytes or sys.maxsize):
            batch = [dict(row) for row in chunk]
            results = self._kept(batch, context)
            if results is None:
                for place, row in enumerate(batch):
                    yield from self._alone(row, number + place, context)
            else:
                context.ledger.keep(len(results))
                yield from results
            number += len(batch)

    def _alone(self, row: dict[str, Any], number: int, context: Context) -> Iterator[dict[str, Any]]:
        """Yield what the function returns for one row of a batch that failed; it is lost if it fails alone too."""
        try:
            results = self._made([row], context)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad row must not take its siblings with it
            context.ledger.lose(str(row.get("id", number)), "retryable", described(error))
            return
        context.ledger.keep(len(results))
        yield from results

    def _kept(self, batch: list[dict[str, Any]], context: Context) -> list[dict[str, Any]] | None:
        """Return what the function returns for a batch, or None if it raises."""
        try:
            return self._made(batch, context)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - tried again row by row
            context.logger.warning(
                "a batch of %d rows failed, they are tried one by one: %s", len(batch), described(error)
            )
            return None

    def _made(self, batch: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """Return what the function returns for some rows, from the journal if it did before.

        Raises:
            BadInput: the function returns something else than a list of dicts.
        """
        # a digest of digests: the batch is never one large string in memory
        key = digest(["batch", *map(digest, batch)])
        stored = context.journal.get_parts(key)
        if stored is None:
            returned: Any = self.function(copied(batch))
            rows = (
                list(returned) if isinstance(returned, Iterable) and not isinstance(returned, (str, Mapping)) else None
            )
            if rows is None or not all(isinstance(row, Mapping) for row in rows):
                raise BadInput(f"the function must return a list of rows (dicts), got {returned!r:.60}")
            parts = chunks(map(checked, rows), GROUP_ROWS, GROUP_BYTES)
            stored = context.journal.kept_parts(key, (list(part) for part in parts))
        return stored
