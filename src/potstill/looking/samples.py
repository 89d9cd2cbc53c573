"""What several models answered to the same rows, side by side: only where they differ, or only what is wrong."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from potstill.engine.store.artifacts import KEPT, Artifact
from potstill.errors import BadInput
from potstill.looking.parquet_table import Cell, holding, quoted, reading
from potstill.metrics.kept_rows import RIGHT

LONGEST = 1_500
"""Letters of a text that are shown."""
NEEDED = ("set", "input", "gold", "answer")
"""Columns of rows that can stand side by side."""
WORD = re.compile(r"\s+|\w+|[^\w\s]")
"""What differences are marked by."""


@dataclass(frozen=True)
class Answers:
    """The rows that one evaluation kept."""

    label: str
    """The model's name."""
    artifact: Artifact
    """The evaluation."""
    columns: Sequence[str]
    """Columns of its rows."""

    @property
    def right(self) -> str | None:
        """Return the column that says whether an answer is right, if there is one."""
        return next((name for name in RIGHT if name in self.columns), None)


@dataclass(frozen=True)
class Answer:
    """What one model answered."""

    cell: Cell
    """Its answer; missing where it was not asked."""
    right: bool | None = None
    """Whether it is right; None where that was not kept."""


@dataclass(frozen=True)
class Sample:
    """One row with all answers."""

    set: str
    """Its test set."""
    number: int
    """Its place in the set, from 1."""
    asked: Cell
    """What was asked."""
    gold: Cell
    """What is right."""
    answers: Sequence[Answer]
    """One for each model, in their order."""


@dataclass(frozen=True)
class SampleQuery:
    """Which samples are wanted."""

    differing: bool = False
    """Only rows to which not all models gave the same answer."""
    wrong: bool = False
    """Only rows that some model got wrong."""
    set: str = ""
    """Only this test set."""
    search: str = ""
    """A text that the question, the gold answer or some answer holds, in any case of letters."""
    offset: int = 0
    """Rows before the first that is wanted."""
    limit: int = 25
    """Rows that are wanted."""


@dataclass(frozen=True)
class SamplePage:
    """Some samples."""

    labels: Sequence[str]
    """The models."""
    sets: Sequence[str]
    """All test sets."""
    total: int
    """How many rows there are."""
    matching: int
    """How many of them are as wanted."""
    offset: int
    """Rows before the first of these."""
    samples: Sequence[Sample] = field(default_factory=list)
    """The samples."""


def answers_of(steps: Mapping[str, Artifact]) -> list[Answers]:
    """Return those of a run's artifacts, by name of the step, that kept answers."""
    from pyarrow import ArrowInvalid, parquet

    answers = []
    for name, artifact in steps.items():
        if KEPT in artifact.manifest["files"]:
            try:
                columns = parquet.read_schema(artifact.path / KEPT).names
            except (ArrowInvalid, OSError):
                continue
            if all(column in columns for column in NEEDED):
                answers.append(Answers(short(name), artifact, columns))
    return answers


def short(name: str) -> str:
    """Return what names a model in a step's name: `teacher` of `scores[teacher]` or `Evaluate(teacher)`."""
    match = re.fullmatch(r"[\w.]+[\[(](.+)[\])]", name)
    return match[1] if match else name


def side_by_side(models: Sequence[Answers], query: SampleQuery) -> SamplePage:
    """Return the rows that the first model was asked, with the answers of all.

    Rows belong together by test set, place in it and question; a model that was asked something else has no answer.

    Raises:
        BadInput: there is no model, or the files can't be read.
        MissingExtra: DuckDB is not installed.
    """
    if not models:
        raise BadInput("no model is chosen: choose at least one")
    files = [model.artifact.path / KEPT for model in models]
    with reading(files) as table:
        joined = _joined(models)
        paths = [str(file) for file in files]
        conditions, values = _conditions(query, len(models))
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        totals = table.query(f"{joined} SELECT count(*) FROM samples", paths)
        sets = table.query(f'{joined} SELECT DISTINCT "set" FROM samples ORDER BY 1', paths)
        matching = int(table.query(f"{joined} SELECT count(*) FROM samples {where}", [*paths, *values])[0][0])
        offset = max(0, min(query.offset, max(0, (matching - 1) // query.limit * query.limit)))
        texts = ["asked", "gold", *(f"answer{place}" for place in range(len(models)))]
        cells = ", ".join(f"left({text}, {LONGEST}), length({text})" for text in texts)
        rights = ", ".join(f"right{place}" for place in range(len(models)))
        end = f"{where} ORDER BY first, n LIMIT {query.limit} OFFSET {offset}"
        records = table.query(f'{joined} SELECT "set", n, {rights}, {cells} FROM samples {end}', [*paths, *values])
    samples = [_sample(record, len(models)) for record in records]
    labels = [model.label for model in models]
    return SamplePage(labels, [str(one[0]) for one in sets], int(totals[0][0]), matching, offset, samples)


def _joined(models: Sequence[Answers]) -> str:
    """Return the beginning of a query that has all answers in `samples`; it takes the paths of the files."""
    parts = []
    for place, model in enumerate(models):
        right = f"{quoted(model.right)} = 1" if model.right else "NULL"
        parts.append(
            f'm{place} AS (SELECT "set", row_number() OVER (PARTITION BY "set" ORDER BY file_row_number) AS n, '
            f"file_row_number AS place, input, gold, answer, {right} AS correct "
            "FROM read_parquet(?, file_row_number=true))"
        )
    answers = ", ".join(f"m{n}.answer AS answer{n}, m{n}.correct AS right{n}" for n in range(len(models)))
    joins = " ".join(
        f'LEFT JOIN m{n} ON m{n}."set" IS NOT DISTINCT FROM m0."set" AND m{n}.n = m0.n '
        f"AND m{n}.input IS NOT DISTINCT FROM m0.input"
        for n in range(1, len(models))
    )
    first = 'min(m0.place) OVER (PARTITION BY m0."set") AS first'
    whole = f'samples AS (SELECT m0."set", m0.n, {first}, m0.input AS asked, m0.gold, {answers} FROM m0 {joins})'
    return f"WITH {', '.join(parts)}, {whole}"


def _conditions(query: SampleQuery, count: int) -> tuple[list[str], list[object]]:
    """Return what rows must meet, and the values in that."""
    conditions, values = [], list[object]()
    if query.differing:
        conditions.append(
            "(" + " OR ".join(["false", *(f"answer{n} IS DISTINCT FROM answer0" for n in range(1, count))]) + ")"
        )
    if query.wrong:
        conditions.append("(" + " OR ".join(f"right{n} IS FALSE" for n in range(count)) + ")")
    if query.set:
        conditions.append('"set" = ?')
        values.append(query.set)
    if query.search:
        texts = ["asked", "gold", *(f"answer{n}" for n in range(count))]
        conditions.append("(" + " OR ".join(f"regexp_matches({text}, ?)" for text in texts) + ")")
        values += [holding(query.search)] * len(texts)
    return conditions, values


def _sample(record: Sequence[object], count: int) -> Sample:
    """Return the sample in a record of the query."""
    cells = [
        Cell(None if text is None else str(text), length if isinstance(length, int) else 0)
        for text, length in zip(record[2 + count :: 2], record[3 + count :: 2], strict=True)
    ]
    rights = [None if one is None else bool(one) for one in record[2 : 2 + count]]
    answers = [Answer(cell, right) for cell, right in zip(cells[2:], rights, strict=True)]
    return Sample(str(record[0]), int(str(record[1])), cells[0], cells[1], answers)


def marked(reference: str, text: str) -> list[tuple[str, bool]]:
    """Return a text in pieces, each with whether `reference` has something else there."""
    if reference == text:
        return [(text, False)]
    before, after = WORD.findall(reference), WORD.findall(text)
    end = _alike(before[::-1], after[::-1])
    # with words that come all the time it takes minutes, and models repeat themselves: the usual ones begin no match
    matcher = difflib.SequenceMatcher(None, before[: len(before) - end], after[: len(after) - end], autojunk=True)
    pieces = list(_pieces(matcher, after))
    return [*pieces, ("".join(after[len(after) - end :]), False)] if end else pieces


def _alike(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many words two texts begin with in common."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _pieces(matcher: difflib.SequenceMatcher[str], words: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of the second text."""
    for tag, _, _, start, end in matcher.get_opcodes():
        if end > start:
            yield "".join(words[start:end]), tag != "equal"
