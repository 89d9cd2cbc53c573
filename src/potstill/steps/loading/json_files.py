"""Load rows from JSON Lines, or from one JSON list; streamed, so that any size fits."""

from __future__ import annotations

import codecs
import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from dataclasses import field as parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from potstill.engine.step import Estimate
from potstill.errors import Problem
from potstill.steps.loading.file_reader import RecordFiles, RecordsStep, file_problems
from potstill.steps.loading.files import are_small, lines, opened
from potstill.steps.loading.json_list import is_one_object, items, unreadable
from potstill.steps.loading.schema import Findings, Schema, schema_problems
from potstill.text.json_values import float_of

if TYPE_CHECKING:
    import pyarrow as pa


class LoadJSON(RecordsStep):
    r"""Reads JSON Lines (an object a line) or JSON (a list of objects), also packed with gzip, bzip2 or xz.

    The files are read twice, first to find the columns' types and everything that is wrong, then for the rows, so that
    memory does not grow with them. A field that a row lacks is missing there.

    >>> _ = Path("rows.jsonl").write_text('{"text": "on", "level": 1}\n{"text": "off", "level": 0.5}')
    >>> show(LoadJSON("rows.jsonl", schema={"text": str}))
    {'text': 'on', 'level': 1.0}
    {'text': 'off', 'level': 0.5}
    """

    _: KW_ONLY
    field: str = ""
    """Where the files hold one object, the name under which its list of rows stands, such as `data`; `a.b` is the list
    `b` in the object `a`."""
    schema: Schema = parameter(default_factory=dict)
    """Types that columns must have, such as `{"text": str, "level": "int?"}`; other columns are taken as they come."""

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the fields of the files where they are small."""
        files = self._files()
        return frozenset(files.survey()[0].arrow().names) or None if are_small(files.paths) else None

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the files where they are small."""
        return file_problems(self, list(schema_problems(self.schema)), self._files)

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
        return RecordFiles.of(self, lambda path, findings: _records(path, findings, self.field), self.schema)


def _records(path: Path, findings: Findings, field: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON or JSON Lines file, or of the list under a name in it."""
    with opened(path) as file:
        is_list = _starts_list(file)
    if field or is_list:
        yield from items(path, findings, field)
        return
    if is_one_object(path):
        findings.add(
            "",
            "is one JSON object, not a list of rows: say field= with the name of its list, as in "
            "LoadJSON(..., field='data')",
        )
        return
    for number, line in lines(path, findings):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line, parse_float=float_of(line))
            except (ValueError, RecursionError) as error:
                findings.add(f"line {number}", f"not valid JSON: {unreadable(error)}: {line.strip():.60}")


def _starts_list(file: BinaryIO) -> bool:
    """Return whether the first character that is no space opens a list."""
    while True:
        try:
            part = file.read(4096)
        except (OSError, EOFError, lzma.LZMAError):
            return False  # reading the lines says what is wrong
        # UTF-16 and UTF-32 put zero bytes around ASCII characters
        text = part.replace(b"\0", b"").lstrip(codecs.BOM_UTF8 + codecs.BOM_UTF16 + b" \t\r\n")
        if text or not part:
            return text.startswith(b"[")
