"""Cross-layer weight sharing in groups, as in ALBERT (Lan et al. 2020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from potstill.compression.architecture import blocks_of

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def grouped(blocks: int, groups: int) -> list[list[int]]:
    """Return `groups` runs of neighbouring blocks, as equal in length as can be.

    >>> grouped(6, 4)
    [[0], [1, 2], [3], [4, 5]]
    """
    # integer arithmetic: run lengths differ by one at most, and add up
    edges = [blocks * number // groups for number in range(groups + 1)]
    return [list(range(start, stop)) for start, stop in pairwise(edges)]


@torch.no_grad()
def share(model: PretrainedModel, groups: Sequence[Sequence[int]]) -> int:
    """Give the blocks of each group the mean of their weights; return the parameters that then need not be stored."""
    blocks = blocks_of(model)[1]
    spared = 0
    for group in groups:
        members = [dict(blocks[number].named_parameters()) for number in group]
        for name in members[0]:
            # float32: a mean of bfloat16 weights taken in bfloat16 loses their last bits
            mean = torch.stack([one[name].float() for one in members]).mean(0)
            for one in members:
                one[name].copy_(mean)
        spared += (len(group) - 1) * parameters(blocks[group[0]])
    return spared


def parameters(module: nn.Module) -> int:
    """Return the parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
