"""Load texts: a row per line, or per file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.engine.step import Estimate
from potstill.errors import Problem
from potstill.steps.loading.file_reader import RecordFiles, RecordsStep, file_problems
from potstill.steps.loading.files import encoding_problems, lines
from potstill.steps.loading.schema import Findings

if TYPE_CHECKING:
    import pyarrow as pa


class LoadText(RecordsStep):
    r"""Reads texts, also packed with gzip, bzip2 or xz; empty ones are left out.

    >>> _ = Path("commands.txt").write_text("turn on the light\n\nclose the blinds\n")
    >>> show(LoadText("commands.txt"))
    {'text': 'turn on the light'}
    {'text': 'close the blinds'}
    """

    _: KW_ONLY
    per: Literal["line", "file"] = "line"
    """What makes a row: a line, without its line break, or a whole file."""
    column: str = "text"
    """Column that gets the text."""
    encoding: str = "utf-8"
    """How the files write characters, such as `latin-1` or `cp1252`; one that begins with the mark of UTF-8, UTF-16 or
    UTF-32 says so itself."""

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the one column."""
        return frozenset((self.column,))

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the files where they are small."""
        return file_problems(self, list(encoding_problems(self.encoding)), self._files)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows where the files are small."""
        return self._files().estimate()

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: anything is wrong with the files.
        """
        return self._files().rows()

    def _files(self) -> RecordFiles:
        """Return the files with how they are read."""
        return RecordFiles.of(self, self._texts)

    def _texts(self, path: Path, findings: Findings) -> Iterator[tuple[str, Any]]:
        """Yield `(place, row)` for the texts of one file."""
        if self.per == "file":
            text = "".join(line for _, line in lines(path, findings, self.encoding))
            yield from [("", {self.column: text})] if text.strip() else []
            return
        for number, line in lines(path, findings, self.encoding):
            if line.strip():
                yield f"line {number}", {self.column: line.rstrip("\r\n")}
