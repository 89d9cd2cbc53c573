"""Which layers stay in 16 bits because 8 bits harm them far more than others.

LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339) keeps outlier features in 16 bits; whole layers are what formats for
servers can hold. In decoders it is a few projections of the feed-forward layers, through which single tokens get
activations a thousand times the others (Sun et al. 2024, "Massive activations", arXiv 2402.17762).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

ENOUGH = 5e-4
"""Sum of KL divergences (nats a prediction) below which no further layer is left in 16 bits: a rise of the perplexity
by 0.05 %."""
STANDS_OUT = 3.0
"""How many times the model's mean harm a weight a layer must have: where all are harmed alike, each is worth its 8 bits
as much as any other."""


def left_wide(harm: Mapping[str, float], weights: Mapping[str, int], may: Collection[str], budget: int) -> list[str]:
    """Return the layers to leave in 16 bits, the most harmed first, as far as the `budget` goes.

    Each has at least `STANDS_OUT` times the mean harm a weight; none is left once the rest does less than `ENOUGH`.

    Args:
        harm: of each layer, by path: KL divergence in nats a prediction.
        weights: of each layer.
        may: the layers that may be left.
        budget: weights that may stay in 16 bits.

    >>> left_wide({"a": 0.5, "b": 0.2, "c": 0.01}, {"a": 9, "b": 4, "c": 90}, ("a", "b"), budget=8)
    ['b']
    """
    wide: list[str] = []
    rest = sum(harm.values())
    mean = rest / max(sum(weights[path] for path in harm), 1)
    for path in sorted(may, key=lambda path: (-harm[path], path)):
        if rest <= ENOUGH:
            break
        if weights[path] <= budget and harm[path] >= STANDS_OUT * mean * weights[path]:
            wide.append(path)
            budget -= weights[path]
            rest -= harm[path]
    return wide
