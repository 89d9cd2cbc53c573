"""Leaks: test rows that stand in the training rows, so that what is measured on them was learned by heart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Placement, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder
from potstill.steps.evaluation.evaluation_sets import by_name
from potstill.steps.filtering.filter import cells, name_of, names, scan
from potstill.text.leaks import HOW, Found, TestTexts
from potstill.text.ngrams import plain

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

MEANING = "meaning"
"""The way that an encoder finds."""
LONGEST = 400
"""Letters of a text in an example."""
FILE = "rows.parquet"
"""Every test row, with where it was found."""


@dataclass(frozen=True)
class TestRow:
    """One test row, with where its text was found."""

    set: str
    id: str
    text: str
    found: Found
    meaning: str | None = None
    """Name of the training row that means the same, or None."""
    cosine: float | None = None
    """How near in meaning that one is."""

    __test__ = False

    def has(self, way: str) -> bool:
        """Return whether it was found in a way."""
        return (self.meaning if way == MEANING else getattr(self.found, way)) is not None


class LeakCheck(Step):
    """Looks for test rows in the training rows: what a model was trained on says little about it.

    - `exact`: the texts are equal, regardless of case, spacing and punctuation.
    - `ngram`: they share `ngram` words in a row (Brown et al. 2020, appendix C).
    - `near`: the Jaccard similarity of their n-grams is at least `near` (Broder 1997).
    - `meaning`, with an encoder: the cosine of their embeddings is at least `cosine`.

    A row counts in each way that it was found in, and once in `any`. All test rows are in `rows.parquet`, with the
    training rows that they were found in; `Decontaminate` takes these out.

    >>> train = LoadRows([{"id": "a", "instruction": "turn on the lamp!"}, {"id": "b", "instruction": "Stop"}])
    >>> test = LoadRows([{"id": "t", "instruction": "Turn on the lamp"}, {"id": "u", "instruction": "Go"}])
    >>> show(LeakCheck(train, test, near=0))
    {'leaks': {'checked': ['exact', 'ngram'],
               'train': {'rows': 2, 'exact': 1, 'ngram': 0, 'any': 1},
               'sets': {'test': {'rows': 2,
                                 'exact': {'rows': 1, 'share': 0.5},
                                 'ngram': {'rows': 0, 'share': 0.0},
                                 'any': {'rows': 1, 'share': 0.5},
                                 'examples': [{'test': 't',
                                               'text': 'Turn on the lamp',
                                               'exact': 'a',
                                               'train': 'a',
                                               'train_text': 'turn on the lamp!'}]}}}}
    """

    train: Rows
    """Training rows."""
    test: Rows | Mapping[str, Rows]
    """Test rows, or several test sets by name."""
    _: KW_ONLY
    column: str = "instruction"
    """Column that is compared."""
    test_column: str = ""
    """Column of the test sets, if it is another; empty takes `column`."""
    ngram: Annotated[int, Ge(0)] = 13
    """Shared words in a row that count (13 in the paper); 0 looks for none."""
    shortest: Annotated[int, Ge(1)] = 8
    """A test text of fewer than `ngram` words is looked for as a whole if it has this many (8 in the paper)."""
    near: Annotated[float, Interval(ge=0, le=1)] = 0.7
    """Jaccard similarity from which texts are nearly the same; 0 looks for none."""
    near_ngram: Annotated[int, Ge(1)] = 3
    """Words of an n-gram for that similarity."""
    encoder: Model | None = None
    """A sentence-transformers model: a folder, a Hub id or a step; without it meanings are not compared."""
    cosine: Annotated[float, Interval(gt=-1, le=1)] = 0.95
    """Cosine from which two texts mean the same; it depends on the encoder, so look at the examples."""
    examples: Annotated[int, Ge(0)] = 10
    """Examples a test set."""

    makes: ClassVar[str] = "metrics"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def placement(self) -> Placement:
        """Return the process of the run if no encoder is loaded, else one of the step's own."""
        return Placement(heavy=False) if self.encoder is None else super().placement()

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared."""
        return {"train": (self.column,), "test": (self.test_column or self.column,)}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Make metrics, no rows."""
        return Estimate()

    def run(
        self, train: Dataset, test: Dataset | Mapping[str, Dataset], encoder: ModelSource | None, context: Context
    ) -> dict[str, Any]:
        """Return the counts with examples; test texts are held in memory, training texts are not.

        Raises:
            BadInput: a test set is empty.
        """
        sets = by_name(test)
        empty = [name for name, rows in sets.items() if not len(rows)]
        if empty:
            raise BadInput(Problem("", "test", f"no rows in {', '.join(empty)}: give at least one row"))
        tests = [(name, *row) for name, rows in sets.items() for row in self._test_rows(rows)]
        texts = TestTexts([text for _, _, text in tests], self.ngram, self.shortest, self.near, self.near_ngram)
        every = [
            texts.look(row[self.column], name)
            for name, row in zip(names(train), scan(train, [self.column]), strict=True)
        ]
        rows = [TestRow(*row, matches) for row, matches in zip(tests, texts.found, strict=True)]
        ways = ["exact", *(way for way, on in (("ngram", self.ngram), ("near", self.near)) if on)]
        if encoder is not None:
            ways.append(MEANING)
            rows = self._with_meaning(rows, train, Encoder(encoder, context), every)
        write_rows(context.out / FILE, rows)
        counts = Counter(way for matches in every for way in matches)
        looked = {way: counts[way] for way in ways} | {"any": sum(map(bool, every))}
        per_set = {name: self._figures([row for row in rows if row.set == name], ways, train) for name in sets}
        return {"leaks": {"checked": ways, "train": {"rows": len(train), **looked}, "sets": per_set}}

    def _test_rows(self, rows: Dataset) -> Iterable[tuple[str, str]]:
        """Yield the name and the text of each test row."""
        column = self.test_column or self.column
        return ((name, plain(row[column])) for name, row in zip(names(rows), scan(rows, [column]), strict=True))

    def _with_meaning(
        self, rows: Sequence[TestRow], train: Dataset, encoder: Encoder, every: list[set[str]]
    ) -> list[TestRow]:
        """Return the rows with the training row that is nearest in meaning; add the way to that of training rows."""
        import numpy as np

        vectors = encoder.matrix(row.text for row in rows)
        best, nearest, start = np.full(len(rows), -2.0), np.zeros(len(rows), int), 0
        has_text = np.array([bool(row.text.strip()) for row in rows])
        texts = [bool(plain(row[self.column]).strip()) for row in scan(train, [self.column])]
        for block in encoder.chunks(plain(row[self.column]) for row in scan(train, [self.column])):
            # a text of no words means nothing, and is like nothing
            pairs = np.outer(texts[start : start + len(block)], has_text)
            cosines = np.where(pairs, block @ vectors.T, -2.0)
            for number in np.flatnonzero((cosines >= self.cosine).any(axis=1)):
                every[start + number].add(MEANING)
            here = cosines.max(axis=0)
            nearest = np.where(here > best, start + cosines.argmax(axis=0), nearest)
            best, start = np.maximum(best, here), start + len(block)
        name = name_of(train)
        return [
            TestRow(row.set, row.id, row.text, row.found, name(int(number)), round(float(value), 6))
            if value >= self.cosine
            else row
            for row, number, value in zip(rows, nearest, best, strict=True)
        ]

    def _figures(self, rows: Sequence[TestRow], ways: Sequence[str], train: Dataset) -> dict[str, Any]:
        """Return the counts of a test set, with its examples."""
        counts = {way: sum(row.has(way) for row in rows) for way in ways}
        leaked = [row for row in rows if any(map(row.has, ways))]
        figures: dict[str, Any] = {"rows": len(rows)}
        figures |= {
            way: {"rows": count, "share": count / len(rows)} for way, count in {**counts, "any": len(leaked)}.items()
        }
        # those that are surest first, and else in their order
        leaked.sort(key=lambda row: [not row.has(way) for way in ways])
        shown = leaked[: self.examples]
        texts = _texts_of(train, self.column, {_first(row) for row in shown}) if shown else {}
        return {**figures, "examples": [_example(row, texts) for row in shown]}


def _first(row: TestRow) -> str:
    """Return the name of the training row that is shown beside a test row."""
    named = (row.found.exact, row.found.ngram, row.found.near, row.meaning)
    return next(name for name in named if name is not None)


def _texts_of(rows: Dataset, column: str, wanted: set[str]) -> dict[str, str]:
    """Return the texts of some rows by name."""
    cell: Callable[[int], Any] = cells(rows, column)
    texts: dict[str, str] = {}
    for number, name in enumerate(names(rows)):
        if name in wanted and name not in texts:
            texts[name] = plain(cell(number))
    return texts


def _example(row: TestRow, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a test row, what of it was found where, and the training text."""
    matches = {way: getattr(row.found, way) for way in HOW if row.has(way)}
    matches |= {"shared": row.found.shared[:LONGEST]} if row.found.shared is not None else {}
    matches |= {"similarity": round(row.found.similarity, 6)} if row.found.similarity is not None else {}
    matches |= {MEANING: row.meaning, "cosine": row.cosine} if row.meaning is not None else {}
    train = _first(row)
    text = texts.get(train, "")[:LONGEST]
    return {"test": row.id, "text": row.text[:LONGEST], **matches, "train": train, "train_text": text}


def write_rows(path: Path, rows: Sequence[TestRow]) -> None:
    """Write all test rows with where they were found."""
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ("set", "id", "text", "exact", "ngram", "shared", "near", MEANING)
    schema = pa.schema(
        [*((name, pa.string()) for name in texts), ("similarity", pa.float64()), ("cosine", pa.float64())]
    )
    lines = [
        {
            **vars(row.found),
            "set": row.set,
            "id": row.id,
            "text": row.text,
            MEANING: row.meaning,
            "cosine": row.cosine,
        }
        for row in rows
    ]
    parquet.write_table(pa.Table.from_pylist(lines, schema=schema), path, compression="zstd")
