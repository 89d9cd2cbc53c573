"""Control masks for lottery tickets (Frankle and Carbin 2018, arXiv 1803.03635; Chen et al. 2020, 2007.12223).

A mask is bool and True where a weight stays.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

Control = Literal["none", "random", "shuffled"]
"""The mask itself, one with as many zeros overall, or one with as many in each layer."""


def controlled(masks: Mapping[str, Tensor], control: Control, seed: int) -> Iterator[Tensor]:
    """Yield for each of `masks` [O, I] the one that `control` puts in its place.

    Zeros are drawn without replacement by `seed`, on the CPU, so that every machine draws the same.
    """
    generator = torch.Generator().manual_seed(seed)
    counts = {path: int((~mask).sum()) for path, mask in masks.items()}
    if control == "random":
        counts = _spread({path: mask.numel() for path, mask in masks.items()}, sum(counts.values()), generator)
    for path, mask in masks.items():
        if control == "none":
            yield mask
            continue
        drawn = torch.ones(mask.numel(), dtype=torch.bool)
        drawn[torch.randperm(mask.numel(), generator=generator)[: counts[path]]] = False
        yield drawn.reshape(mask.shape)


def _spread(sizes: Mapping[str, int], zeros: int, generator: torch.Generator) -> dict[str, int]:
    """Return how many of `zeros`, drawn over all weights, fall into each layer."""
    places = torch.randperm(sum(sizes.values()), generator=generator)[:zeros]
    edges = torch.tensor(list(sizes.values())).cumsum(0)
    counts = torch.bincount(torch.bucketize(places, edges, right=True), minlength=len(sizes))
    return dict(zip(sizes, counts.tolist(), strict=True))
