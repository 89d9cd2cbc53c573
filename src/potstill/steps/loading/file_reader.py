"""Base class of steps that stream files record by record, and report the problems of all files together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem
from potstill.steps.loading.files import Files, are_small, matched
from potstill.steps.loading.schema import Findings, Survey, as_table, kind_of, schema_problems

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 2_000
"""Rows held as Python objects at a time, which take ten times the memory of their content."""


class RecordsStep(Step):
    """Reads files twice, first to find the columns' types and everything that is wrong, then for the rows.

    A subclass says how the records of one file are read. Small files are read through before anything runs.
    """

    path: Files
    """A file, several, or a glob."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters, and with the files where they are small."""
        wrong = self._parameter_problems()
        paths = matched(self.path)
        yield from wrong
        if not wrong and are_small(paths):
            yield from self._survey(paths)[1]

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows where the files are small."""
        paths = matched(self.path)
        return Estimate(rows=self._survey(paths)[0].rows if are_small(paths) else None)

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: anything is wrong with the files.
        """
        return read(matched(self.path), self._types(), self._records())

    def _records(self) -> Records:
        """Return the function that reads one file."""
        raise NotImplementedError

    def _types(self) -> Mapping[str, Any]:
        """Return the types that columns must have."""
        return {}

    def _parameter_problems(self) -> list[Problem]:
        """Return the problems of the parameters alone, without a look at the files."""
        return list(schema_problems(self._types()))

    def _survey(self, paths: list[Path]) -> tuple[Survey, list[Problem]]:
        """Scan the files; return what they hold, and their problems."""
        return survey(paths, self._types(), self._records())


Records = Callable[[Path, Findings], Iterator[tuple[str, Any]]]
"""Yields `(place, value)` for what may be a row of a file, and adds to the findings what can't be read."""


def read(paths: list[Path], schema: Mapping[str, Any], records: Records) -> pa.RecordBatchReader:
    """Return the rows of files as a reader, which holds one batch at a time.

    Raises:
        BadInput: with all problems of all files together.
    """
    import pyarrow as pa

    seen, problems = survey(paths, schema, records)
    if problems:
        raise BadInput(*problems)
    arrow = seen.arrow()

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            # problems were reported by the survey: this pass reads a file known to be right
            for chunk in _chunks(record for _, record in records(path, Findings(str(path)))):
                yield from as_table(chunk, arrow).to_batches()

    return pa.RecordBatchReader.from_batches(arrow, batches())


def survey(paths: list[Path], schema: Mapping[str, Any], records: Records) -> tuple[Survey, list[Problem]]:
    """Scan all files; return what they hold, and their problems."""
    seen = Survey({name: kind_of(given) for name, given in schema.items()})
    problems: list[Problem] = []
    for path in paths:
        findings = Findings(str(path))
        for chunk in _chunks(_objects(records(path, findings), findings)):
            seen.look(chunk, findings)
        problems += [Problem("", "path", problem.message) for problem in findings.problems()]
    if not seen.rows and not problems:
        problems.append(Problem("", "path", f"no rows in {', '.join(map(str, paths))}: give a file that has some"))
    return seen, problems


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
