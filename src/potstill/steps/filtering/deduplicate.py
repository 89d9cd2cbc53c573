"""Deduplication: exact, by n-grams (MinHash), or by embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.step import Placement
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder
from potstill.steps.filtering.filter import Objection, cells, keep_rows, name_of, scan
from potstill.steps.rows.base import RowsStep, TextFilterStep
from potstill.text.ngrams import Unit, normal, plain

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.text.cosine import Vectors
    from potstill.text.minhash import Alike

BLOCK = 1024
"""Embeddings compared together."""


class Deduplicate(RowsStep):
    """Keeps the first of several equal rows, regardless of case, spacing and punctuation.

    Symbols that mean something are no punctuation: C, C++ and C# differ, as do 5 + 3 and 5 - 3, or two emoji.

    >>> rows = LoadRows([{"instruction": "Open the blinds"}, {"instruction": "open the blinds!"}])
    >>> show(Deduplicate(rows))
    {'instruction': 'Open the blinds'}
    """

    _: KW_ONLY
    fields: tuple[str, ...] = ("instruction",)
    """Columns that must agree for two rows to be the same."""

    version: ClassVar[int] = 2  # symbols that mean something count

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if not self.fields:
            yield Problem("", "fields", "names no column: give at least one")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared."""
        return {"rows": self.fields}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the first row of each kind; 16 bytes a row are remembered, and some 100 while they are sorted."""
        import numpy as np

        # a separator, or ("ab", "c") would equal ("a", "bc")
        normalized = ("\0".join(normal(row[name]) for name in self.fields) for row in scan(rows, self.fields))
        digests = (hashlib.blake2b(text.encode(), digest_size=16).digest() for text in normalized)
        marks = np.fromiter(digests, dtype="S16", count=len(rows))
        # `return_index` gives each digest's first row, which is the one that stays
        _, first, kind = np.unique(marks, return_index=True, return_inverse=True)
        name = name_of(rows)
        likes = first[kind]
        objections = (
            None if like == number else Objection("duplicate", f"like {name(int(like))}")
            for number, like in enumerate(likes)
        )
        return keep_rows(rows, context, objections)


class DeduplicateNear(TextFilterStep):
    """Keeps the first of several rows that share most of their n-grams (Broder 1997).

    MinHash proposes earlier rows and their exact Jaccard similarity decides, regardless of case, spacing and
    punctuation: no row goes that is not alike. Of the pairs right at the threshold one in a thousand may be missed, of
    those above it fewer.

    >>> rows = LoadRows([{"id": "a", "instruction": "Write a short story about a brave dog"},
    ...                  {"id": "b", "instruction": "Write a short story about a brave cat"},
    ...                  {"id": "c", "instruction": "Translate the sentence into German"}])
    >>> show(DeduplicateNear(rows, ngram=2, threshold=0.7))
    {'id': 'a', 'instruction': 'Write a short story about a brave dog'}
    {'id': 'c', 'instruction': 'Translate the sentence into German'}
    """

    _: KW_ONLY
    threshold: Annotated[float, Interval(gt=0, le=1)] = 0.7
    """Jaccard similarity from which two rows are alike; below the 0.8 usual for documents, since in a short text one
    word more or less changes several of few n-grams."""
    ngram: Annotated[int, Ge(1)] = 3
    """Words or characters of an n-gram; 3 words for instructions, 5 for documents."""
    unit: Unit = "word"
    """What an n-gram is made of: `character` also finds other spellings; in
    languages without spaces a word is one letter anyway."""
    permutations: Annotated[int, Ge(16)] = 128
    """Minima a row; more find low similarities with fewer needless comparisons. A kept row takes 2.7 kB of memory."""
    seed: int = 0
    """Of the hash functions."""

    version: ClassVar[int] = 2  # symbols that mean something count, and words of scripts without spaces

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that are like none that was kept before; only their minima are held in memory."""
        from potstill.text.minhash import NearCopies

        near = NearCopies(self.threshold, self.ngram, self.unit, self.permutations, self.seed)
        texts = (plain(row[self.column]) for row in scan(rows, [self.column]))
        cell = cells(rows, self.column)
        # candidates' texts are read again from disk, so that only minima are held
        matches = near.find(texts, lambda number: plain(cell(number)))
        return keep_rows(rows, context, _objections(rows, matches, "near duplicate", "Jaccard"))


class DeduplicateEmbedding(RowsStep):
    """Keeps the first of several rows that mean the same: whose embeddings have at least a cosine of `threshold`.

    Abbas et al. 2023, "SemDeDup: Data-efficient learning at web-scale through semantic deduplication", section 3; here
    with the exact search over all kept rows instead of one within clusters.

    >>> rows = LoadRows([{"text": "turn the lamp on", "embedding": [1.0, 0.0]},
    ...                  {"text": "switch on the lamp", "embedding": [0.98, 0.1]},
    ...                  {"text": "lock the door", "embedding": [0.0, 1.0]}])
    >>> show(Select(DeduplicateEmbedding(rows, embeddings="embedding"), ["text"]))
    {'text': 'turn the lamp on'}
    {'text': 'lock the door'}

    With an encoder the text is embedded on the way:

    >>> rows = LoadRows([{"text": "Turn the lamp on."}, {"text": "turn on the lamp"}, {"text": "Lock the door."}])
    >>> show(DeduplicateEmbedding(rows, column="text", encoder=encoder, threshold=0.8))
    {'text': 'Turn the lamp on.'}
    {'text': 'Lock the door.'}
    """

    _: KW_ONLY
    column: str = "instruction"
    """Text column that `encoder` embeds."""
    encoder: Model | None = None
    """A sentence-transformers model: a folder, a Hub id or a step; not needed if the rows have `embeddings`."""
    embeddings: str = ""
    """Column of embeddings that the rows have already, of any length but zero; instead of `encoder`."""
    threshold: Annotated[float, Interval(gt=-1, le=1)] = 0.95
    """Cosine from which two rows mean the same; it depends on the encoder, so look at the ledger's pairs."""

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def placement(self) -> Placement:
        """Return the process of the run if no encoder is loaded, else one of the step's own."""
        return Placement(heavy=False) if self.encoder is None else super().placement()

    def check(self) -> Iterable[Problem]:
        """Yield a problem unless it is clear where the embeddings come from."""
        if (self.encoder is None) == (not self.embeddings):
            which = "both" if self.embeddings else "neither"
            yield Problem("", "encoder", f"give an encoder, or the name of a column of embeddings; got {which}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is compared."""
        return {"rows": (self.embeddings or self.column,)}

    def run(self, rows: Dataset, encoder: ModelSource | None, context: Context) -> Dataset:
        """Return the rows that are like none that was kept before; the kept rows' embeddings are held in memory."""
        from potstill.text.cosine import find_alike

        if encoder is None:
            blocks = self._given(rows)
        else:
            blocks = Encoder(encoder, context).chunks(plain(row[self.column]) for row in scan(rows, [self.column]))
        matches = find_alike(blocks, self.threshold)
        return keep_rows(rows, context, _objections(rows, matches, "near in meaning", "cosine"))

    def _given(self, rows: Dataset) -> Iterator[Vectors]:
        """Yield the embeddings that the rows have.

        Raises:
            BadInput: they are no lists of numbers, or not all of one length.
        """
        import numpy as np

        from potstill.text.cosine import unit_vectors

        name, size = name_of(rows), 0
        for start, table in enumerate(rows.select_columns([self.embeddings]).with_format("arrow").iter(BLOCK)):
            values = table[self.embeddings].to_pylist()
            for number, value in enumerate(values, start * BLOCK):
                size = size or (len(value) if isinstance(value, list) else 0)
                if not isinstance(value, list) or len(value) != size or not np.isfinite(value).all():
                    what = f"must be {size or 'some'} finite numbers, got {value!r:.60}"
                    raise BadInput(Problem("", "embeddings", f"row {name(number)}: {self.embeddings} {what}"))
            yield unit_vectors(values)


def _objections(
    rows: Dataset, matches: Iterable[Alike | None], reason: str, measure: str
) -> Iterator[Objection | None]:
    """Yield the objection to each row that is like an earlier one, which is named."""
    name = name_of(rows)
    for alike in matches:
        detail = "" if alike is None else f"like {name(alike.number)} ({measure} {alike.similarity:.3f})"
        yield Objection(reason, detail) if detail else None
