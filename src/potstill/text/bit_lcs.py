"""Longest common subsequences of one text with many, 64 tokens of it a machine word.

Hyyrö 2004, "Bit-parallel LCS-length computation revisited", after Crochemore et al. 2001, "A fast and practical
bit-vector algorithm for the longest common subsequence problem".

Shapes: S texts, L tokens of the longest, m tokens of the candidate in W words of 64 bits, D different ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = 64
"""Bits of a word, and so tokens of the candidate that one word handles."""


def match_masks(ids: list[int]) -> NDArray[np.uint64]:
    """Return [W, D + 1], where bit i of column d says that the candidate's token i is number d.

    `ids` [m] numbers the candidate's tokens from 1 on; 0 is a token that matches nothing, and its column is empty.
    """
    masks = np.zeros((-(-len(ids) // WORD), max(ids, default=0) + 1), np.uint64)
    for place, number in enumerate(ids):
        if number:
            masks[place // WORD, number] |= np.uint64(1 << (place % WORD))
    return masks


def common(masks: NDArray[np.uint64], ids: NDArray[np.int32], m: int) -> NDArray[np.int64]:
    """Return [S], the length of the longest common subsequence of the candidate and each text of `ids` [L, S].

    Hyyrö 2004, figure 3: with V all ones, for each token of the text U = V & M, V = (V + U) | (V & ~M); the answer is
    the number of zeros among the low `m` bits of V. Sums carry from one word to the next.
    """
    words, texts = len(masks), ids.shape[1]
    vector = np.full((words, texts), np.uint64(0xFFFFFFFFFFFFFFFF))
    for column in ids:
        carry: NDArray[np.uint64] | None = None
        for word in range(words):
            match, v = masks[word][column], vector[word]
            u = v & match
            total = v + u
            if words > 1:
                # unsigned numbers wrap around: a sum below a summand is how NumPy shows a carry
                over = total < v
                if carry is not None:
                    total += carry
                    over |= (total == 0) & (carry == 1)
                carry = over.astype(np.uint64)
            vector[word] = total | (v & ~match)
    zeros = np.zeros(texts, np.int64)
    for word in range(words):
        used = min(WORD, m - word * WORD)
        low = np.uint64((1 << used) - 1)
        zeros += used - np.bitwise_count(vector[word] & low).astype(np.int64)
    return zeros
