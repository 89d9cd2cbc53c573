"""Log-probabilities from logits, in numpy, for runtimes that don't bring torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def chosen(logits: ArrayLike, tokens: Sequence[int]) -> list[float]:
    """Return the log-probability of each of `tokens` [T] under `logits` [T, V]."""
    import numpy as np

    scores = np.asarray(logits, dtype=np.float64)
    # taken off before exp, which then can't overflow
    top = scores.max(-1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(-1))
    picked = scores[np.arange(len(tokens)), list(tokens)]
    return [float(value) for value in picked - total]
