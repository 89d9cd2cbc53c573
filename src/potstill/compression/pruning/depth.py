"""Importance of transformer blocks, by which they are dropped.

Shapes: B texts, T tokens, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.block_parts import Architecture, passed_on
from potstill.compression.layerwise import walk
from potstill.compression.loss import Batch, loss

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


@torch.no_grad()
def block_influence(model: PretrainedModel, batches: Sequence[Tensor]) -> list[float]:
    """Return per block 1 - the mean cosine of its input and output states (ShortGPT, Men et al. 2024, section 3).

    A block that hardly turns the hidden states has little influence.

    Args:
        model: a model of transformers.
        batches: token ids [B, T], each batch of texts of one length.
    """
    influences = []
    for block in walk(model, batches):
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
    for number, block in enumerate(blocks_of(model)[1]):
        with left_out(block, arch):
            rises.append(loss(model, batches) - base_loss)
        progress(number + 1)
    return rises


@contextmanager
def left_out(block: nn.Module, arch: Architecture) -> Iterator[None]:
    """Let hidden states pass `block`, of a model of kind `arch`, unchanged while the context is open."""

    def through(states: Tensor, *_: object, **__: object) -> Any:
        return passed_on(arch, states)

    block.forward = through
    try:
        yield
    finally:
        del block.forward  # the class's own forward shows again


def number_layers(model: PretrainedModel) -> None:
    """Renumber the attention layers (`layer_idx`), which index the key-value cache."""
    for number, block in enumerate(blocks_of(model)[1]):
        for module in block.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # type: ignore[assignment] # a plain attribute
