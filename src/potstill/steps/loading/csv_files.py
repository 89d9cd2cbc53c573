"""Load rows from CSV with a header line (RFC 4180)."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.step import Estimate
from potstill.errors import Problem
from potstill.steps.loading.file_reader import RecordFiles, RecordsStep, file_problems
from potstill.steps.loading.files import LONGEST_BYTES, encoding_problems, lines, matched
from potstill.steps.loading.schema import WORDS, Findings, Kind, Schema, kind_of, schema_problems

if TYPE_CHECKING:
    import pyarrow as pa

TRUE_OR_FALSE = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
"""What a cell of a `bool` column may hold, in any case."""
WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
"""A cell of an `int` column: no `1_000`, no digits of other scripts."""
NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
"""A cell of a `float` column."""
SPECIAL = re.compile(r"\s*[+-]?(?:nan|inf|infinity)\s*", re.IGNORECASE)
"""A cell of one that may also hold these."""
MOST_DIGITS = 1000
"""Characters of a number."""


class LoadCSV(RecordsStep):
    r"""Reads CSV files with a header line, also packed with gzip, bzip2 or xz.

    A cell is a text unless `schema` says what it stands for, so that `007` and `1e5` stay what they are.

    >>> _ = Path("rows.csv").write_text('zip,level\n01234,1\n"a, b",')
    >>> show(LoadCSV("rows.csv", schema={"level": "int?"}))
    {'zip': '01234', 'level': 1}
    {'zip': 'a, b', 'level': None}
    """

    _: KW_ONLY
    schema: Schema = field(default_factory=dict)
    """Types of columns: `str`, `int`, `float` or `bool`; with `?` an empty cell is a missing value."""
    delimiter: str = ","
    """What is between cells; a tab for TSV."""
    encoding: str = "utf-8"
    """How the files write characters, such as `latin-1` or `cp1252` (Excel's CSV); one that begins with the mark of
    UTF-8, UTF-16 or UTF-32 says so itself."""
    special_numbers: bool = False
    """Whether `nan`, `inf` and `-inf` are numbers of `float` columns."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the files where they are small."""
        return file_problems(self, self._parameter_problems(), self._files)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows where the files are small."""
        return self._files().estimate()

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: anything is wrong with the files.
        """
        return self._files().rows()

    def _parameter_problems(self) -> list[Problem]:
        """Return the problems of the parameters alone, without a look at the files."""
        wrong = list(schema_problems(self.schema))
        if not wrong:
            nested = [name for name, kind in self.schema.items() if kind_of(kind).name in ("list", "dict")]
            wrong += [Problem("", "schema", f"column {name!r}: a cell holds no list or object") for name in nested]
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            wrong.append(Problem("", "delimiter", f"must be one character, got {self.delimiter!r}"))
        wrong += encoding_problems(self.encoding)
        return wrong

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the header lines, and those that may be missing there."""
        heads = [self._head(path) for path in matched(self.path)]
        return frozenset((*(name for head in heads for name in head), *self.schema)) if any(heads) else None

    def _files(self) -> RecordFiles:
        """Return the files with how they are read."""
        kinds = {name: kind_of(kind) for name, kind in self.schema.items()}
        form = Form(self.delimiter, self.encoding, self.special_numbers)
        return RecordFiles.of(self, lambda path, findings: _records(path, findings, form, kinds), self.schema)

    def _head(self, path: Path) -> list[str]:
        """Return the header line of a file."""
        text_lines = (line for _, line in lines(path, Findings(""), self.encoding))
        return next(csv.reader(text_lines, delimiter=self.delimiter), [])


@dataclass(frozen=True)
class Form:
    """How a CSV file is written."""

    delimiter: str
    """What is between cells."""
    encoding: str
    """How characters are written."""
    special_numbers: bool
    """Whether `nan` and `inf` are numbers."""


def _records(
    path: Path, findings: Findings, form: Form, kinds: Mapping[str, Kind]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(place, row)` for each line; a cell that is not of its column's kind is a finding."""
    csv.field_size_limit(LONGEST_BYTES)  # the default of 128 KiB is less than many a text
    text_lines = (line for _, line in lines(path, findings, form.encoding))
    # strict: without it a stray quote swallows the lines up to the next one
    cells = csv.reader(text_lines, delimiter=form.delimiter, strict=True)
    head: list[str] | None = None
    number = 1
    while True:
        try:
            row = next(cells, None)
        except csv.Error as error:
            findings.add(f"line {number}", f"not valid CSV: {error}")
            return
        if row is None:
            return
        if head is None and row:
            head = row
            wrong = list(_head_problems(head, kinds))
            for message in wrong:
                findings.add(f"line {number}", message)
            if wrong:
                return
        elif head is not None and row:
            place = f"line {number}"
            if len(row) != len(head):
                findings.add(
                    place, f"has {len(row)} cells, but the header has {len(head)}: {form.delimiter.join(row):.60}"
                )
            else:
                yield place, _row(dict(zip(head, row, strict=True)), place, findings, kinds, form)
        # cells may span lines: the reader's own count, not that of rows
        number = cells.line_num + 1


def _head_problems(head: list[str], kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Yield what is wrong with a header line."""
    for name, times in Counter(head).items():
        if times > 1:
            yield f"the header names column {name!r} {times} times"
    for name, kind in kinds.items():
        if name not in head and not kind.optional:
            yield f"no field {name!r} (the header has {', '.join(head)})"


def _row(
    cells: dict[str, str], place: str, findings: Findings, kinds: Mapping[str, Kind], form: Form
) -> dict[str, Any]:
    """Return the row with its cells as their columns' kinds have them."""
    row: dict[str, Any] = dict(cells)
    for name, kind in kinds.items():
        if name not in cells:
            continue
        try:
            row[name] = _value(cells[name], kind, form)
        except ValueError:
            findings.add(place, f"field {name!r} must be {WORDS[kind.name]}, got {cells[name]!r:.60}")
            row[name] = {"str": "", "int": 0, "float": 0.0, "bool": False}[kind.name]  # said once is enough
    return row


def _value(cell: str, kind: Kind, form: Form) -> Any:
    """Return what a cell stands for; numbers in a stricter syntax than Python's own parsing.

    Raises:
        ValueError: it stands for nothing of this kind.
    """
    if cell == "" and kind.optional:
        return None
    if kind.name == "bool":
        if cell.strip().lower() not in TRUE_OR_FALSE:
            raise ValueError(cell)
        return TRUE_OR_FALSE[cell.strip().lower()]
    if kind.name == "int":
        return int(_number(cell, WHOLE))
    if kind.name == "float":
        if form.special_numbers and SPECIAL.fullmatch(cell):
            return float(cell)
        number = float(_number(cell, NUMBER))
        if not math.isfinite(number):  # 1e999
            raise ValueError(cell)
        return number
    return cell


def _number(cell: str, pattern: re.Pattern[str]) -> str:
    """Return a cell that is a number.

    Raises:
        ValueError: it is none, or one of so many digits that nothing can hold it.
    """
    if len(cell) > MOST_DIGITS or not pattern.fullmatch(cell):
        raise ValueError(cell)
    return cell
