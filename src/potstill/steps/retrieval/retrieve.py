"""Retrieve the documents nearest to each query (Karpukhin et al. 2020, "Dense Passage Retrieval", section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, MinLen

from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder, texts_in
from potstill.steps.retrieval.similarity import CHUNK, as_matrix
from potstill.steps.retrieval.vector_index import EXACT, Nearest
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class Retrieve(Step):
    """Puts beside each query the `k` documents nearest to it: `passages`, `passage_ids` and `passage_scores`.

    The queries are streamed; of the documents only the vectors are held. Nearness is the inner product, which is the
    cosine for vectors of length 1. Vectors come from a `model`, or stand in the rows already (`embedding`).

    >>> pets = LoadRows([{"id": "c", "text": "Cats purr."}, {"id": "d", "text": "Dogs bark."}])
    >>> ask = LoadRows([{"instruction": "Which animal says woof?"}])
    >>> show(Select(Retrieve(ask, pets, k=1, model=encoder), ["passages", "passage_ids", "passage_scores"]))
    {'passages': ['Dogs bark.'], 'passage_ids': ['d'], 'passage_scores': [0.4201]}
    """

    queries: Rows
    """What is looked for."""
    documents: Rows
    """Where."""
    _: KW_ONLY
    k: Annotated[int, Ge(1)] = 5
    """Documents a query; fewer where there are fewer."""
    model: Model | None = None
    """A sentence-transformers folder or Hub id; None where both sides have vectors."""
    query_column: Annotated[str, MinLen(1)] = "instruction"
    """Text of a query."""
    document_column: Annotated[str, MinLen(1)] = "text"
    """Text of a document."""
    embedding: Annotated[str, MinLen(1)] = "embedding"
    """Column of the vectors on both sides, as `Embed` makes it; used without a `model`."""
    query_prefix: str = ""
    """Put before each query; some encoders want one, such as `query: `."""
    document_prefix: str = ""
    """Put before each document."""
    index: Annotated[str, MinLen(1)] = EXACT
    """faiss's description of the index: `Flat` is exact; for millions of documents e.g. `IVF4096,Flat` or `HNSW32`."""
    others_only: bool = False
    """Whether a document with the query's own `id` is left out, for rows that are searched among themselves."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of texts or vectors."""
        own = ("id",) if self.others_only else ()
        if self.model is not None:
            return {"queries": (self.query_column, *own), "documents": (self.document_column, *own)}
        return {"queries": (self.embedding, *own), "documents": (self.document_column, self.embedding, *own)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("queries")
        return added(self, rows, ("passages", "passage_ids", "passage_scores"), "queries")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the queries."""
        return Estimate(rows=rows.get("queries"))

    def run(
        self, queries: Dataset, documents: Dataset, context: Context, model: ModelSource | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the queries with their documents."""
        index = Nearest(self._documents(documents, model, context), self.index, context.threads)
        names = [str(name) for name in documents["id"]] if "id" in documents.column_names else None
        waiting = iter(queries)
        for vectors in self._queries(queries, model, context):
            # one more than asked for, since the query's own document is dropped afterwards
            for scores, numbers in zip(*index.search(vectors, self.k + self.others_only), strict=True):
                row = next(waiting)
                own = str(row["id"]) if self.others_only else None
                hits = [
                    (int(number), float(score))
                    for number, score in zip(numbers, scores, strict=True)
                    # faiss gives -1 where it has fewer documents than asked for
                    if number >= 0 and (own is None or names is None or names[number] != own)
                ][: self.k]
                context.ledger.keep()
                yield {**row, **self._passages(hits, documents, names)}

    def _documents(self, documents: Dataset, model: ModelSource | None, context: Context) -> NDArray[np.float32]:
        """Return the documents' vectors, [N, D]."""
        if not len(documents):
            raise BadInput(Problem("", "documents", "no rows to retrieve from: give at least one"))
        if model is None:
            return as_matrix(documents.with_format("numpy")[self.embedding][:], self.embedding)
        encoder = Encoder(model, context, prefix=self.document_prefix)
        return encoder.matrix(texts_in(documents, self.document_column, "document_column"))

    def _queries(self, queries: Dataset, model: ModelSource | None, context: Context) -> Iterator[NDArray[np.float32]]:
        """Yield the queries' vectors, chunk by chunk."""
        if model is not None:
            encoder = Encoder(model, context, prefix=self.query_prefix)
            yield from encoder.chunks(texts_in(queries, self.query_column, "query_column"))
            return
        for start in range(0, len(queries), CHUNK):
            yield as_matrix(queries[start : start + CHUNK][self.embedding], self.embedding)

    def _passages(
        self, hits: list[tuple[int, float]], documents: Dataset, names: list[str] | None
    ) -> dict[str, list[Any]]:
        """Return the new columns of a query; documents without an id are named by their number."""
        numbers = [number for number, _ in hits]
        return {
            "passages": documents[numbers][self.document_column] if numbers else [],
            "passage_ids": [names[number] if names else str(number) for number in numbers],
            "passage_scores": [score for _, score in hits],
        }
