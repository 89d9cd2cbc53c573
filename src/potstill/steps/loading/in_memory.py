"""Load rows from memory: a list of dicts, a pandas frame, an Arrow table or a dataset."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.encoding import digest
from potstill.engine.rows.casting import recast_table, records
from potstill.engine.rows.common_types import common_schema
from potstill.engine.rows.features import FeatureLog, special
from potstill.engine.rows.flaws import Flawed, FlawLog
from potstill.engine.rows.parts import Layout
from potstill.engine.rows.sources import is_frame, tables
from potstill.engine.rows.types import stored_schema
from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem
from potstill.steps.loading.schema import Findings, Schema, Survey, as_table, kind_of, schema_problems

if TYPE_CHECKING:
    import pyarrow as pa

DIGEST_ROWS = 10_000
"""Rows that are hashed at a time."""


class LoadRows(Step):
    """Takes rows from memory; their content is the key, so that equal rows are a hit in any container.

    What is changed in the object afterwards is not seen.

    >>> show(LoadRows([{"text": "on", "level": 1}, {"text": "off"}]))
    {'text': 'on', 'level': 1}
    {'text': 'off', 'level': None}
    """

    rows: Any
    """A list of dicts, a pandas frame, an Arrow table or a `datasets.Dataset`."""
    _: KW_ONLY
    schema: Schema = field(default_factory=dict)
    """Types that columns must have, such as `{"text": str, "level": "int?"}`; empty takes them as they are."""

    makes: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        """Take a snapshot of the rows."""
        if not isinstance(self.rows, Snapshot):
            object.__setattr__(self, "rows", Snapshot(self.rows))

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the rows."""
        problem = self.rows.problem
        wrong = list(schema_problems(self.schema))
        if problem or wrong:
            yield from [Problem("", "rows", problem)] if problem else wrong
            return
        yield from (Problem("", "rows", finding.message) for finding in self._survey()[1].problems())
        if not self.rows.count:
            yield Problem("", "rows", "no rows: give at least one")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns."""
        return frozenset(self.rows.names) | frozenset(self.schema)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows."""
        return Estimate(rows=self.rows.count)

    def run(self) -> pa.Table:
        """Return the rows."""
        if self.rows.table is not None and not self.schema:
            return self.rows.table
        survey, _ = self._survey()
        return as_table(self.rows.records(), survey.arrow())

    def _survey(self) -> tuple[Survey, Findings]:
        """Scan the rows; a table without a schema to check it against is valid as it is."""
        survey, findings = Survey({name: kind_of(kind) for name, kind in self.schema.items()}), Findings("rows")
        if self.rows.table is None or self.schema:
            survey.look(((f"row {number}", row) for number, row in enumerate(self.rows.records())), findings)
        return survey, findings


class Snapshot:
    """Rows as they were when the step was made; no dataclass, or the graph would search every cell for steps."""

    def __init__(self, rows: object) -> None:
        """Copy `rows`: a list of dicts as such, everything else as an Arrow table."""
        self.problem = ""
        self.table: pa.Table | None = None
        self._dicts: list[dict[str, Any]] = []
        if any(hasattr(rows, mark) for mark in ("num_rows", "to_numpy", "__arrow_c_stream__", "with_format")):
            log = FlawLog()
            try:
                self.table = _as_arrow(rows, log)
            except BadInput as error:
                log.add(*(problem.message for problem in error.problems))
            self.problem = "\n".join(log.messages())
        elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Mapping)):
            # a step's key must not change when the caller edits the rows later
            try:
                copies: dict[int, Any] = {}  # what several rows share is copied once
                self._dicts = [_copied(row, number, copies) for number, row in enumerate(rows)]
            except BadInput as error:
                self.problem = str(error)
        else:
            self.problem = f"must be a list of dicts, a pandas frame, an Arrow table or a Dataset, got {rows!r:.60}"

    def __repr__(self) -> str:
        """Describe the rows."""
        return f"{self.count} rows with columns {', '.join(map(str, self.names)) or 'none'}"

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._dicts) if self.table is None else int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        """The columns, in order."""
        return list(
            {name: None for row in self._dicts for name in row} if self.table is None else self.table.column_names
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts."""
        return self._dicts if self.table is None else records(self.table)

    def identity(self) -> dict[str, str]:
        """Return the content as a digest."""
        return {"content": self._digest}

    @cached_property
    def _digest(self) -> str:
        """The digest of names, types and values; a text, a number and a truth value differ."""
        hasher = hashlib.sha256()
        if self.table is None:
            for row in self._dicts:
                hasher.update(
                    repr([(name, _mark(value)) for name, value in row.items()]).encode("utf-8", "surrogatepass")
                )
        else:
            hasher.update(str([(field.name, str(field.type)) for field in self.table.schema]).encode())
            metadata = special(self.table.schema)
            hasher.update(json.dumps(metadata, sort_keys=True).encode() if metadata else b"")
            for start in range(0, self.table.num_rows, DIGEST_ROWS):
                # values, not Arrow buffers: equal rows in other chunks or with other padding must hash alike
                hasher.update(repr(self.table.slice(start, DIGEST_ROWS).to_pylist()).encode("utf-8", "surrogatepass"))
        return hasher.hexdigest()


def _copied(row: object, number: int, copies: dict[int, Any]) -> dict[str, Any]:
    """Return a copy of a row of one's own, at any depth.

    Raises:
        BadInput: it is no dict, or holds what can't be copied, such as a generator.
    """
    if not isinstance(row, Mapping):
        raise BadInput(f"row {number} must be a dict, got {row!r:.60}")
    copied = {}
    for name, value in row.items():
        try:
            copied[name] = copy.deepcopy(value, copies)
        except Exception as error:
            what = f"row {number}, column {name!r} holds a {type(value).__name__} that can't be copied ({error})"
            raise BadInput(f"{what}: give texts, numbers, lists, dicts or bytes") from error
    return copied


def _mark(value: object) -> str:
    """Return a text that stands for a cell; dates and the like, which have no place in a key, by how they print."""
    try:
        return digest(value)
    except BadInput:
        return f"{type(value).__qualname__} {value!r}"


def _as_arrow(rows: Any, log: FlawLog) -> pa.Table | None:
    """Return a frame, a table or a dataset as an Arrow table of its own, as rows are kept; None if it can't be.

    Raises:
        BadInput: it is no rows.
    """
    import pyarrow as pa

    features, layout = FeatureLog(log), Layout(sys.maxsize, sys.maxsize, 1)
    parts = []
    for table in tables(rows.copy() if is_frame(rows) else rows, log, layout):
        features.take(table.schema)
        schema, wrong = stored_schema(table.schema)
        log.add(*wrong)
        try:
            parts += [recast_table(table.replace_schema_metadata(None), schema)] if not wrong else []
        except Flawed as error:
            log.add_flaws(error, 0)
    schema, wrong = common_schema([part.schema for part in parts])
    log.add(*wrong)
    if log.count:
        return None
    return pa.concat_tables([recast_table(part, schema) for part in parts]).cast(features.on(schema))
