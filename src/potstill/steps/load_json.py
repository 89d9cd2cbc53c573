"""Loading rows from JSON: an object a line, or one list of objects; read in parts, so that any size fits."""

from __future__ import annotations

import codecs
import itertools
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from potstill.errors import BadInput, Problem
from potstill.step import Estimate, Step
from potstill.steps.files import Files, are_small, lines, matched, opened
from potstill.steps.json_list import items
from potstill.steps.schema import Findings, Schema, Survey, as_table, kind_of, schema_problems

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 2_000
"""Rows that are held as Python objects at a time; these take ten times the room of what they say."""


class LoadJSON(Step):
    r"""Reads JSON Lines (an object a line) or JSON (a list of objects), also packed with gzip or xz.

    The files are read twice, first to find the columns' types and everything that is wrong, then for the rows, so that
    memory does not grow with them. A field that a row lacks is missing there.

    >>> _ = Path("rows.jsonl").write_text('{"text": "on", "level": 1}\n{"text": "off", "level": 0.5}')
    >>> show(LoadJSON("rows.jsonl", schema={"text": str}))
    {'text': 'on', 'level': 1.0}
    {'text': 'off', 'level': 0.5}
    """

    path: Files
    """A file, several, or a glob."""
    _: KW_ONLY
    schema: Schema = field(default_factory=dict)
    """Types that columns must have, such as `{"text": str, "level": "int?"}`; other columns are taken as they come."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the schema, and with the files where they are small."""
        wrong = list(schema_problems(self.schema))
        paths = matched(self.path)
        yield from wrong
        if not wrong and are_small(paths):
            yield from survey(paths, self.schema, _records)[1]

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the fields of the files where they are small."""
        paths = matched(self.path)
        return frozenset(survey(paths, self.schema, _records)[0].arrow().names) or None if are_small(paths) else None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows where the files are small."""
        paths = matched(self.path)
        return Estimate(rows=survey(paths, self.schema, _records)[0].rows if are_small(paths) else None)

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: anything is wrong with the files.
        """
        return read(matched(self.path), self.schema, _records)


Records = Callable[[Path, Findings], Iterator[tuple[str, Any]]]
"""Yields `(place, value)` for what may be a row of a file, and adds to the findings what can't be read."""


def read(paths: list[Path], schema: Mapping[str, Any], records: Records) -> pa.RecordBatchReader:
    """Return the rows of files as a reader, which holds one batch at a time.

    Raises:
        BadInput: with all problems of all files together.
    """
    import pyarrow as pa

    found, problems = survey(paths, schema, records)
    if problems:
        raise BadInput(*problems)
    arrow = found.arrow()

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            for chunk in _chunks(record for _, record in records(path, Findings(str(path)))):
                yield from as_table(chunk, arrow).to_batches()

    return pa.RecordBatchReader.from_batches(arrow, batches())


def survey(paths: list[Path], schema: Mapping[str, Any], records: Records) -> tuple[Survey, list[Problem]]:
    """Look through all files; returns what they hold, and what is wrong."""
    found = Survey({name: kind_of(given) for name, given in schema.items()})
    problems: list[Problem] = []
    for path in paths:
        findings = Findings(str(path))
        for chunk in _chunks(_objects(records(path, findings), findings)):
            found.look(chunk, findings)
        problems += [Problem("", "path", problem.message) for problem in findings.problems()]
    if not found.rows and not problems:
        problems.append(Problem("", "path", f"no rows in {', '.join(map(str, paths))}: give a file that has some"))
    return found, problems


def _objects(records: Iterable[tuple[str, Any]], findings: Findings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records that are objects; others are findings."""
    for place, record in records:
        if isinstance(record, dict) and record:
            yield place, record
        else:
            findings.add(place, f"a row must be an object with fields, got {record!r:.60}")


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the items in lists."""
    source = iter(items)
    while chunk := list(itertools.islice(source, CHUNK_ROWS)):
        yield chunk


def _records(path: Path, findings: Findings) -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON or JSON Lines file."""
    with opened(path) as file:
        is_list = _starts_list(file)
    if is_list:
        yield from items(path, findings)
        return
    for number, line in lines(path, findings):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                what = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else "too deep"
                findings.add(f"line {number}", f"not valid JSON: {what}: {line.strip():.60}")


def _starts_list(file: BinaryIO) -> bool:
    """Say whether the first character that is no space opens a list."""
    while True:
        try:
            part = file.read(4096)
        except (OSError, EOFError, lzma.LZMAError):
            return False  # reading the lines says what is wrong
        text = part.removeprefix(codecs.BOM_UTF8).lstrip()
        if text or not part:
            return text.startswith(b"[")
