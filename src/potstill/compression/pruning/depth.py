"""Importance of transformer blocks, by which they are dropped.

Shapes: B texts, T tokens, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from potstill.compression.architecture import architecture_of, stacks_of
from potstill.compression.block_parts import Architecture, passing_on
from potstill.compression.layerwise import Block
from potstill.compression.loss import Batch, loss

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


@torch.no_grad()
def block_influence(blocks: Iterable[Block]) -> list[float]:
    """Return per block 1 - the mean cosine of its input and output states (ShortGPT, Men et al. 2024, section 3).

    A block that hardly turns the hidden states has little influence.

    Args:
        blocks: those of a model with their inputs, as `layerwise.walk` yields them.
    """
    influences = []
    for block in blocks:
        total, count = 0.0, 0
        for before, after in zip(block.inputs, block.outputs(), strict=True):
            # float32: cosines of blocks that change little differ in digits that bfloat16 doesn't have
            cosine = torch.cosine_similarity(before.float(), after.float(), dim=-1)
            total, count = total + float(cosine.sum()), count + cosine.numel()
        influences.append(1 - total / max(count, 1))
    return influences


def rise_of_loss(
    model: PretrainedModel, batches: Sequence[Batch], progress: Callable[[int], None] = lambda _: None
) -> list[float]:
    """Return per block by how much the loss rises when it alone is left out.

    Args:
        model: a model of transformers with a head.
        batches: texts with what is to be predicted.
        progress: called with the number of blocks tried.
    """
    base_loss, rises, arch = loss(model, batches), [], architecture_of(model)
    for number, block in enumerate(block for _, blocks in stacks_of(model) for block in blocks):
        with left_out(block, arch):
            rises.append(loss(model, batches) - base_loss)
        progress(number + 1)
    return rises


@contextmanager
def left_out(block: nn.Module, arch: Architecture) -> Iterator[None]:
    """Let hidden states pass `block`, of a model of kind `arch`, unchanged while the context is open."""
    block.forward = passing_on(arch, block)
    try:
        yield
    finally:
        del block.forward  # the class's own forward shows again


def number_layers(model: PretrainedModel) -> None:
    """Renumber the attention layers (`layer_idx`), which index the key-value cache."""
    for _, blocks in stacks_of(model):
        for number, block in enumerate(blocks):
            for module in block.modules():
                if hasattr(module, "layer_idx"):
                    module.layer_idx = number  # type: ignore[assignment] # a plain attribute
