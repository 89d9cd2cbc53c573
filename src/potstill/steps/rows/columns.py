"""Selecting, renaming and dropping columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from potstill.errors import BadInput, Problem
from potstill.steps.rows.base import RowsStep

if TYPE_CHECKING:
    from datasets import Dataset


class _NamedColumns(RowsStep):
    """Does something with columns that are named; one that is not there is a mistake in its name."""

    names: list[str] | tuple[str, ...]
    """The columns."""

    def check(self) -> Iterable[Problem]:
        """Yield a problem for columns that are none or named twice."""
        return _names_problems(self.names)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are named."""
        return {"rows": self.names}


class Select(_NamedColumns):
    """Keeps some columns, in the order given.

    >>> rows = LoadRows([{"id": "a", "text": "hello", "note": "x"}])
    >>> show(Select(rows, ["text", "id"]))
    {'text': 'hello', 'id': 'a'}
    """

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns to keep."""
        return frozenset(self.names)

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows with these columns."""
        return rows.select_columns(list(self.names))


class Drop(_NamedColumns):
    """Leaves some columns out.

    >>> rows = LoadRows([{"id": "a", "text": "hello", "note": "x"}])
    >>> show(Drop(rows, ["note"]))
    {'id': 'a', 'text': 'hello'}
    """

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the other columns.

        Raises:
            BadInput: none is left.
        """
        present = inputs.get("rows")
        if present is not None and not present - frozenset(self.names):
            raise BadInput(Problem("", "names", f"leaves no column: the rows have only {', '.join(sorted(present))}"))
        return None if present is None else present - frozenset(self.names)

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows without these columns."""
        return rows.remove_columns(list(self.names))


class Rename(RowsStep):
    """Gives columns other names.

    >>> rows = LoadRows([{"text": "turn it on", "label": "on"}])
    >>> show(Rename(rows, {"text": "instruction", "label": "output"}))
    {'instruction': 'turn it on', 'output': 'on'}
    """

    names: Mapping[str, str]
    """Old name to new name; two columns may swap theirs."""

    unordered: ClassVar[frozenset[str]] = frozenset({"names"})

    def check(self) -> Iterable[Problem]:
        """Yield a problem for new names that are given twice."""
        return _names_problems(tuple(self.names.values()))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the old names."""
        return {"rows": tuple(self.names)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the new names, and those of the other columns.

        Raises:
            BadInput: another column has one of the new names.
        """
        present = inputs.get("rows")
        if present is None:
            return None
        taken = sorted((present - self.names.keys()) & set(self.names.values()))
        if taken:
            raise BadInput(Problem("", "names", f"the rows have a column {', '.join(taken)} already: drop it first"))
        return (present - self.names.keys()) | frozenset(self.names.values())

    def run(self, rows: Dataset) -> Dataset:
        """Return the rows with the new names."""
        self.columns({"rows": frozenset(rows.column_names)})
        return rows.rename_columns(dict(self.names))


def _names_problems(names: Iterable[str]) -> Iterable[Problem]:
    """Yield what is wrong with a list of columns."""
    counted = Counter(names)
    if not counted:
        yield Problem("", "names", "names no column: give at least one")
    for name, times in counted.items():
        if times > 1:
            yield Problem("", "names", f"names column {name!r} {times} times: once is enough")
