"""Base classes of steps that filter, reorder or reshape rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import ClassVar

from potstill.engine.step import Estimate, Rows, Step


class RowsStep(Step):
    """Works on rows; all of them stay, with their columns, where a subclass doesn't say otherwise."""

    rows: Rows
    """Rows to work on."""

    makes: ClassVar[str] = "rows"

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows, as if all stay."""
        return Estimate(rows=rows.get("rows"))


class TextFilterStep(RowsStep):
    """Keeps or drops each row by a text in it."""

    _: KW_ONLY
    column: str = "instruction"
    """Column that is read."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is read."""
        return {"rows": (self.column,)}
