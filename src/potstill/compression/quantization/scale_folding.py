"""Fold scales of linear layers' inputs into the preceding norm or layer, at no cost.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of, key_value_heads
from potstill.compression.block_parts import Fold, part_of
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def behind_norms(model: PretrainedModel) -> list[Fold]:
    """Return the norms of a block and what reads them: where SmoothQuant scales. A block may lack a norm (`in_block`).

    Raises:
        BadInput: what reads a norm is not only the layers, so that no scale can go into it.
    """
    folds = list(architecture_of(model).folds)
    if not folds:
        raise BadInput(
            f"in a model of type {model.config.model_type!r} what a norm puts out is added to the residual stream too, "
            "so no scale of inputs can be folded into it: leave smoothquant out, or take method='gptq'"
        )
    return folds


def everywhere(model: PretrainedModel) -> list[Fold]:
    """Return all places of a block: behind norms, and where a linear layer reads another one's outputs as they are.

    That is the value projection before the one that reads the heads, if every head has its own values, and the
    feed-forward layer whose outputs are multiplied by those of the gate.

    Raises:
        BadInput: there is no place.
    """
    architecture, config = architecture_of(model), model.config
    folds = list(architecture.folds) if len(architecture.units) > 1 else behind_norms(model)
    # a value head that query heads share feeds several inputs of the output projection, one scale each
    if key_value_heads(config) == config.num_attention_heads and len(architecture.queries) > 1:
        folds.append(Fold(architecture.queries[-1], (architecture.attended,)))
    if len(architecture.units) > 1:
        folds.append(Fold(architecture.units[-1], (architecture.down,)))
    return [*folds, *_in_experts(model)]


def _in_experts(model: PretrainedModel) -> list[Fold]:
    """Return the feed-forward layers of a mixture: each expert's, that of a shared one, and those of dense blocks."""
    if not architecture_of(model).has_experts:
        return []
    paths = [path for block in blocks_of(model)[1] for path, _ in block.named_modules() if path.endswith(".up_proj")]
    # in_block leaves out what a block lacks
    return [Fold(path, (path.removesuffix("up_proj") + "down_proj",)) for path in dict.fromkeys(paths)]


def where_possible(model: PretrainedModel) -> list[Fold]:
    """Return the same, and an empty list where there is no place."""
    architecture = architecture_of(model)
    return everywhere(model) if architecture.folds or len(architecture.units) > 1 else []


def in_block(folds: Iterable[Fold], block: nn.Module) -> list[Fold]:
    """Return those of the `folds` whose source a block has: the first one of ModernBERT lacks a norm."""
    return [fold for fold in folds if part_of(block, fold.source) is not None]


@torch.no_grad()
def into_norm(norm: nn.Module, divisors: Tensor, offset: float = 0.0) -> Tensor:
    """Divide the output of `norm` by `divisors` [I] in place; return what it was really divided by, in float32.

    The norm multiplies by its weight plus `offset` (`Architecture.norm_offset`).

    The norm stores its weight in few bits. What the readers are multiplied by is therefore the quotient of its weights
    before and after, so that nothing is lost between the two; a feature that the norm keeps at 0 is left alone.
    """
    weight: Any = norm.weight
    before = weight.float() + offset
    after = (before / divisors - offset).to(weight.dtype)
    factors = after.float() + offset
    # a quotient below the dtype's range would erase the feature
    after = torch.where((factors == 0) | ~torch.isfinite(factors), weight, after)
    factors = after.float() + offset
    divided_by = torch.where(factors == 0, torch.ones_like(before), before / factors)
    weight.copy_(after)
    bias: Any = getattr(norm, "bias", None)
    if bias is not None:
        bias.copy_(bias.float() / divided_by)
    return divided_by
