"""Files that are read record by record, with the problems of all files reported together.

They are read twice, first to find the columns' types and everything that is wrong, then for the rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem
from potstill.steps.loading.files import Files, are_small, matched
from potstill.steps.loading.schema import Findings, Survey, as_table, kind_of

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 2_000
"""Rows held as Python objects at a time, which take ten times the memory of their content."""


Records = Callable[[Path, Findings], Iterator[tuple[str, Any]]]
"""Yields `(place, value)` for what may be a row of a file, and adds to the findings what can't be read."""


class RecordsStep(Step):
    """Loads the rows in files; its `check`, `estimate` and `run` are those of a `RecordFiles`."""

    path: Files
    """A file, several, or a glob."""

    makes: ClassVar[str] = "rows"


@dataclass(frozen=True)
class RecordFiles:
    """Files, and how the records of one are read."""

    paths: list[Path]
    """The files."""
    records: Records
    """Reads one file."""
    schema: Mapping[str, Any]
    """Types that columns must have."""

    @classmethod
    def of(cls, step: RecordsStep, records: Records, schema: Mapping[str, Any] | None = None) -> RecordFiles:
        """Return the files that `step` names."""
        return cls(matched(step.path), records, schema or {})

    def estimate(self) -> Estimate:
        """Count the rows where the files are small."""
        return Estimate(rows=self.survey()[0].rows if are_small(self.paths) else None)

    def survey(self) -> tuple[Survey, list[Problem]]:
        """Scan all files; return what they hold, and their problems."""
        survey = Survey({name: kind_of(kind) for name, kind in self.schema.items()})
        problems: list[Problem] = []
        for path in self.paths:
            findings = Findings(str(path))
            for chunk in _chunks(_objects(self.records(path, findings), findings)):
                survey.look(chunk, findings)
            problems += [Problem("", "path", problem.message) for problem in findings.problems()]
        if not survey.rows and not problems:
            names = ", ".join(map(str, self.paths))
            problems.append(Problem("", "path", f"no rows in {names}: give a file that has some"))
        return survey, problems

    def rows(self) -> pa.RecordBatchReader:
        """Return the rows as a reader, which holds one batch at a time.

        Raises:
            BadInput: with all problems of all files together.
        """
        import pyarrow as pa

        survey, problems = self.survey()
        if problems:
            raise BadInput(*problems)
        arrow = survey.arrow()

        def batches() -> Iterator[pa.RecordBatch]:
            for path in self.paths:
                # problems were reported by the survey: this pass reads a file known to be right
                for chunk in _chunks(record for _, record in self.records(path, Findings(str(path)))):
                    yield from as_table(chunk, arrow).to_batches()

        return pa.RecordBatchReader.from_batches(arrow, batches())


def file_problems(step: RecordsStep, wrong: list[Problem], files: Callable[[], RecordFiles]) -> Iterator[Problem]:
    """Yield what is `wrong` with a step's parameters; else, of small files, what is wrong in them.

    Small files are read through before anything runs.

    Raises:
        BadInput: there are no such files.
    """
    yield from wrong
    paths = matched(step.path)
    if not wrong and are_small(paths):
        yield from files().survey()[1]


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
