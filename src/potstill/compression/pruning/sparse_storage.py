"""Size of sparse weights in formats that omit zeros, as a measure only: no runtime loads them.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LEVEL = 1
"""Of zstd: higher levels save little more of weights, whose bits are close to random, and take much longer."""


@dataclass(frozen=True)
class SparseStorage:
    """Bytes that the same weights take in several formats."""

    dense: int = 0
    """As they are stored: zeros take as much as other weights."""
    csr: int = 0
    """Compressed sparse rows: the other weights, a column number for each, and where each row starts."""
    bitmask: int = 0
    """One bit a weight that says whether it is zero, and the other weights."""
    zstd: int = 0
    """All weights, compressed by zstd."""

    def __add__(self, other: SparseStorage) -> SparseStorage:
        """Return what both take."""
        own, addend = vars(self), vars(other)
        return SparseStorage(**{name: own[name] + addend[name] for name in own})


def sparse_storage(weight: Tensor) -> SparseStorage:
    """Return what `weight` [O, I] takes.

    Column numbers take 2 bytes up to 65,536 columns, else 4; row starts take 4 each, and there is one more than rows.
    """
    rows, width = weight.shape
    values = int((weight != 0).sum()) * weight.element_size()
    columns = int((weight != 0).sum()) * (2 if width <= 2**16 else 4)
    return SparseStorage(
        dense=weight.numel() * weight.element_size(),
        csr=values + columns + 4 * (rows + 1),
        bitmask=values + -(-weight.numel() // 8),
        zstd=_compressed(weight),
    )


def total(weights: Iterable[Tensor]) -> SparseStorage:
    """Return what all `weights` take, one at a time in memory."""
    return sum((sparse_storage(weight) for weight in weights), SparseStorage())


def _compressed(weight: Tensor) -> int:
    """Return the bytes of `weight` after zstd."""
    import pyarrow as pa

    plain = weight.detach().cpu().contiguous().view(torch.uint8).numpy()
    return int(pa.Codec("zstd", compression_level=LEVEL).compress(plain).size)
