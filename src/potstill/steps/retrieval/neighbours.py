"""Nearest neighbours of texts, for prompting steps that retrieve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.errors import BadInput, Problem
from potstill.models.sentence_encoder import Encoder, texts_in
from potstill.steps.retrieval.vector_index import Nearest

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


def neighbours(
    rows: Dataset, column: str, others: Dataset, other_column: str, k: int, model: ModelSource, context: Context
) -> NDArray[np.int32]:
    """Return, for each of N rows, the numbers [N, k] of the nearest `others`, nearest first.

    The encoder is freed when this returns, so that its memory is there for a teacher.

    Raises:
        BadInput: there are no others, or a text is missing.
    """
    import numpy as np

    if not len(others):
        raise BadInput(Problem("", "", f"no rows with a column {other_column} to retrieve from: give at least one"))
    encoder = Encoder(model, context)
    index = Nearest(encoder.matrix(texts_in(others, other_column)), threads=context.threads)
    # numbers alone: the vectors of all rows would take a hundred times more
    chunks = [index.search(vectors, k)[1].astype(np.int32) for vectors in encoder.chunks(texts_in(rows, column))]
    return np.concatenate(chunks) if chunks else np.zeros((0, k), np.int32)
