"""The nearest vectors by inner product, found by faiss (Douze et al. 2024, "The Faiss library")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, MissingExtra, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT = "Flat"
"""faiss's name of the index that compares with everything."""


class Nearest:
    """An index over N vectors of D numbers; of normalised ones the inner product is the cosine."""

    def __init__(self, vectors: NDArray[np.float32], index: str = EXACT, threads: int = 1) -> None:
        """Index `vectors` [N, D]; `index` is a description for faiss's `index_factory`.

        Raises:
            BadInput: there are no vectors, or faiss doesn't know such an index or can't train it on so few.
            MissingExtra: faiss is not installed.
        """
        import numpy as np

        faiss = _import_faiss()
        faiss.omp_set_num_threads(threads)
        if not len(vectors):
            raise BadInput(Problem("", "documents", "no rows to retrieve from: give at least one"))
        self.size = len(vectors)
        matrix = np.ascontiguousarray(vectors, np.float32)
        try:
            self._index = faiss.index_factory(matrix.shape[1], index, faiss.METRIC_INNER_PRODUCT)
            if not self._index.is_trained:
                self._index.train(matrix)
            self._index.add(matrix)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            text = f"faiss can't make an index {index!r} of {len(vectors)} vectors: {reason}; {EXACT!r} always works"
            raise BadInput(Problem("", "index", text)) from error

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and numbers [Q, k] of the nearest vectors, best first, -1 where an index finds fewer.

        Equal scores come in the order of the vectors.
        """
        import numpy as np

        scores, numbers = self._index.search(np.ascontiguousarray(queries, np.float32), min(k, self.size))
        # faiss leaves the order of ties open, which would make runs differ
        order = np.lexsort((numbers, -scores), axis=1)
        return np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)


def _import_faiss() -> Any:
    """Import faiss.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise MissingExtra("retrieval", "faiss-cpu", "data") from error
    return faiss
