"""Loading texts: a line a row, or a file a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from potstill.errors import Problem
from potstill.step import Estimate, Step
from potstill.steps.files import Files, are_small, lines, matched
from potstill.steps.load_json import read, survey
from potstill.steps.schema import Findings

if TYPE_CHECKING:
    import pyarrow as pa


class LoadText(Step):
    r"""Reads UTF-8 texts, also packed with gzip or xz; empty ones are left out.

    >>> _ = Path("commands.txt").write_text("turn on the light\n\nclose the blinds\n")
    >>> show(LoadText("commands.txt"))
    {'text': 'turn on the light'}
    {'text': 'close the blinds'}
    """

    path: Files
    """A file, several, or a glob."""
    _: KW_ONLY
    per: Literal["line", "file"] = "line"
    """What makes a row: a line, without its line break, or a whole file."""
    column: str = "text"
    """Column that gets the text."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the files where they are small."""
        paths = matched(self.path)
        if are_small(paths):
            yield from survey(paths, {}, self._records)[1]

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the one column."""
        return frozenset((self.column,))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows where the files are small."""
        paths = matched(self.path)
        return Estimate(rows=survey(paths, {}, self._records)[0].rows if are_small(paths) else None)

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: a file is no text, or all of them are empty.
        """
        return read(matched(self.path), {}, self._records)

    def _records(self, path: Path, findings: Findings) -> Iterator[tuple[str, Any]]:
        """Yield `(place, row)` for the texts of one file."""
        if self.per == "file":
            text = "".join(line for _, line in lines(path, findings))
            yield from [("", {self.column: text})] if text.strip() else []
            return
        for number, line in lines(path, findings):
            if line.strip():
                yield f"line {number}", {self.column: line.rstrip("\r\n")}
