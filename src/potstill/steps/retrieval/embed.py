"""Embed texts with a sentence encoder (Reimers and Gurevych 2019, "Sentence-BERT")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import MinLen

from potstill.engine.step import Estimate, Rows, Step
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder, texts_in
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class Embed(Step):
    """Adds a column with the vector of each row's text: a list of float32 numbers, of length 1 as a vector.

    Texts are encoded in chunks, sorted by length; finished chunks survive a kill.

    >>> rows = LoadRows([{"a": "a cat", "b": "a kitten"}])
    >>> both = Embed(Embed(rows, "a", encoder, output="cat"), "b", encoder, output="kitten")
    >>> show(Select(CosineSimilarity(both, "cat", "kitten"), ["a", "b", "similarity"]))
    {'a': 'a cat', 'b': 'a kitten', 'similarity': 0.7663}
    """

    rows: Rows
    """Rows with texts."""
    column: Annotated[str, MinLen(1)]
    """Column of the texts."""
    model: Model
    """A sentence-transformers folder or Hub id, or a step that makes one."""
    _: KW_ONLY
    output: Annotated[str, MinLen(1)] = "embedding"
    """Column of the vectors."""
    prefix: str = ""
    """Put before each text; some encoders want one, such as `query: `."""
    normalise: bool = True
    """Whether vectors get length 1, so that their inner product is the cosine."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of the texts."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, (self.output,))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows, with vectors of 384 numbers, the width of small encoders."""
        count = rows.get("rows")
        return Estimate(rows=count, disk=(count or 0) * 384 * 4)

    def run(self, rows: Dataset, model: ModelSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their vectors."""
        encoder = Encoder(model, context, prefix=self.prefix, normalise=self.normalise)
        waiting = iter(rows)
        for vectors in encoder.chunks(texts_in(rows, self.column)):
            for vector in vectors:
                context.ledger.keep()
                yield {**next(waiting), self.output: vector}
