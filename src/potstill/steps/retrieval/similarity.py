"""Cosine similarity of two columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import MinLen

from potstill.engine.step import Estimate, Placement, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder, texts_in
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

CHUNK = 1024
"""Rows whose vectors are held at a time."""


class CosineSimilarity(Step):
    """Adds the cosine of two columns of vectors, or with a `model` of two columns of texts.

    >>> rows = LoadRows([{"a": "a cat", "b": "a kitten"}, {"a": "a cat", "b": "the tax office"}])
    >>> show(CosineSimilarity(rows, "a", "b", model=encoder))
    {'a': 'a cat', 'b': 'a kitten', 'similarity': 0.7663}
    {'a': 'a cat', 'b': 'the tax office', 'similarity': 0.1381}
    """

    rows: Rows
    """Rows with both columns."""
    first: Annotated[str, MinLen(1)]
    """The one column."""
    second: Annotated[str, MinLen(1)]
    """The other."""
    _: KW_ONLY
    model: Model | None = None
    """A sentence-transformers folder or Hub id, for columns of texts; None for columns of vectors."""
    output: Annotated[str, MinLen(1)] = "similarity"
    """Column of the cosines, from -1 to 1; None where a vector is zero."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def placement(self) -> Placement:
        """Return the process of the run if no model is loaded, else one of the step's own."""
        return Placement(heavy=False) if self.model is None else super().placement()

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return both columns."""
        return {"rows": (self.first, self.second)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, (self.output,))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context, model: ModelSource | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows with their cosines."""
        vectors = self._encoded(rows, model, context) if model is not None else self._given(rows)
        waiting = iter(rows)
        for first, second in vectors:
            for value in cosine(first, second):
                context.ledger.keep()
                # NaN: a vector of length 0 has no direction
                yield {**next(waiting), self.output: None if value != value else float(value)}

    def _encoded(
        self, rows: Dataset, model: ModelSource, context: Context
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield the vectors of both columns' texts, chunk by chunk; one model makes both."""
        encoder = Encoder(model, context)
        yield from zip(
            encoder.chunks(texts_in(rows, self.first, "first")),
            encoder.chunks(texts_in(rows, self.second, "second")),
            strict=True,
        )

    def _given(self, rows: Dataset) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield the vectors that stand in both columns, chunk by chunk."""
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            first, second = as_matrix(part[self.first], self.first), as_matrix(part[self.second], self.second)
            if first.shape != second.shape:
                text = f"{self.first} has {first.shape[1]} numbers a row and {self.second} {second.shape[1]}"
                raise BadInput(Problem("", "second", f"{text}: they come from different encoders"))
            yield first, second


def as_matrix(vectors: Sequence[Any] | NDArray[Any], column: str) -> NDArray[np.float32]:
    """Return a column of vectors as [N, D].

    Raises:
        BadInput: it holds something else.
    """
    import numpy as np

    try:
        matrix = np.asarray(vectors, np.float32)
    except (ValueError, TypeError) as error:
        raise BadInput(f"column {column} holds no vectors of one length: {error}; for texts, give a model") from error
    if matrix.ndim != 2:
        raise BadInput(f"column {column} holds no vectors but {vectors[0]!r:.40}; for texts, give a model")
    return matrix


def cosine(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows of two [N, D] matrices, in float64; NaN where one is zero."""
    import numpy as np

    a, b = first.astype(np.float64), second.astype(np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.einsum("nd,nd->n", a, b) / length
    # rounding can push the cosine of equal vectors a little past 1
    return np.where(length > 0, np.clip(value, -1.0, 1.0), np.nan)
