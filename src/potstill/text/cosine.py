"""Texts that mean the same, by the cosine of their embeddings: the exact search over all earlier ones.

Abbas et al. 2023, "SemDeDup: Data-efficient learning at web-scale through semantic deduplication", section 3: of the
texts within a small cosine distance of each other one is kept. The paper first clusters, so that it compares within a
cluster only; here every earlier kept text is compared with, so no pair is missed.

Shapes: B texts of a block, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.text.minhash import Alike

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Vectors = NDArray[np.float32]


def unit_vectors(vectors: ArrayLike) -> Vectors:
    """Return `vectors` [B, D] at length 1; a zero stays zero, so that it is like nothing."""
    array = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    unit: Vectors = np.divide(array, length, out=np.zeros_like(array), where=length > 0)
    return unit


def find_alike(blocks: Iterable[Vectors], threshold: float) -> Iterator[Alike | None]:
    """Yield for each vector the nearest earlier one with at least that cosine; those found alike aren't compared with.

    `blocks` [B, D] are of length 1. The decisions are those of taking one vector at a time.
    """
    import faiss

    index: Any = None
    owners: list[int] = []
    start = 0
    for block in blocks:
        if index is None:
            index = faiss.IndexFlatIP(block.shape[1])
        before = index.search(block, 1) if owners else (np.full((len(block), 1), -2.0), np.zeros((len(block), 1), int))
        stays = np.zeros(len(block), bool)
        inside = block @ block.T
        for place in range(len(block)):
            score, number = float(before[0][place, 0]), owners[before[1][place, 0]] if owners else -1
            mates = np.flatnonzero(stays[:place])
            if mates.size and inside[place, mates].max() > score:
                best = int(mates[inside[place, mates].argmax()])
                score, number = float(inside[place, best]), start + best
            stays[place] = score < threshold
            yield None if stays[place] else Alike(number, score)
        index.add(block[stays])
        owners += (start + np.flatnonzero(stays)).tolist()
        start += len(block)


def mean_cosine(vectors: Vectors) -> float:
    """Return the mean cosine of all pairs of `vectors` [B, D], B > 1, of length 1.

    The squared length of the sum holds every pair twice and every vector with itself once.
    """
    count = len(vectors)
    wide = vectors.astype(np.float64)
    return float((np.square(wide.sum(axis=0)).sum() - np.square(wide).sum()) / (count * (count - 1)))
