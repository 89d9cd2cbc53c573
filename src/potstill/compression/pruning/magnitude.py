"""Magnitude pruning: small weights go (Han et al. 2015, arXiv 1506.02626, section 3).

What small means is set by the scope, after See et al. 2016 (arXiv 1606.09274): `global` compares all weights
("class-blind"), `layer` those of a layer ("class-uniform"), and `deviation` all of them by the standard deviation of
their layer ("class-distribution", which is also Han's rule of a threshold in standard deviations). The granularity is
that of Mao et al. 2017 (arXiv 1705.08922): single weights, vectors of them, or whole rows, by their mean magnitude.

Shapes: O output features, I input features, G groups of weights that share their fate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from potstill.compression.pruning import masks
from potstill.compression.pruning.nm_pattern import NM
from potstill.compression.slabs import by_slabs

Scope = Literal["global", "layer", "deviation"]
"""What weights are compared with."""


def magnitudes(weight: Tensor, run: int = 1, by_deviation: bool = False) -> Tensor:
    """Return the mean magnitude [O, G] of every `run` consecutive inputs of `weight` [O, I].

    With `by_deviation` it is divided by the standard deviation of the layer's weights, those already pruned left out.
    """
    size = weight.float().abs()
    if run > 1:
        size = size.reshape(len(size), -1, run).mean(2)
    if not by_deviation:
        return size
    # zeros of earlier pruning would shrink the deviation, and the layer would be pruned less each time
    left = weight[weight != 0].float()
    return size / left.std().clamp_min(torch.finfo(torch.float32).tiny) if len(left) > 1 else size


def prune_masks(weights: Sequence[Tensor], sparsity: float, scope: Scope, run: int | None = 1) -> Iterator[Tensor]:
    """Yield the mask [O, I] of each of `weights`, one after another.

    `run` inputs of a row share their fate; with None the whole row does.
    """
    runs = [weight.shape[1] if run is None else run for weight in weights]
    scores = [
        partial(magnitudes, weight, size, scope == "deviation") for weight, size in zip(weights, runs, strict=True)
    ]
    if scope == "layer":
        parts = [(score, size, weight.numel()) for score, size, weight in zip(scores, runs, weights, strict=True)]
        layer_masks: Iterator[Tensor] = (
            next(masks.among([one], [size], masks.share_of(total, sparsity))) for one, size, total in parts
        )
    else:
        layer_masks = masks.among(scores, runs, masks.share_of(sum(weight.numel() for weight in weights), sparsity))
    for mask, size in zip(layer_masks, runs, strict=True):
        yield mask.repeat_interleave(size, dim=1)


def pattern_mask(weight: Tensor, pattern: NM) -> Tensor:
    """Return the mask [O, I] that keeps the largest weights of every group."""
    return by_slabs(weight, lambda part: masks.by_pattern(part.float().abs(), pattern))
