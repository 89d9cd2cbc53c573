"""Fold scales of linear layers' inputs into the preceding norm or layer, at no cost.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


@dataclass(frozen=True)
class Fold:
    """One set of inputs; paths are those inside a block."""

    source: str
    """What makes the inputs: a norm or a linear layer."""
    readers: tuple[str, ...]
    """All layers that read them."""


def behind_norms(model: PretrainedModel) -> list[Fold]:
    """Return the norms of a block and what reads them: where SmoothQuant scales.

    Raises:
        BadInput: what reads a norm is not only the layers, so that no scale can go into it.
    """
    architecture = architecture_of(model)
    if architecture.is_encoder:
        raise BadInput(
            f"a {model.config.model_type} model adds a norm's output to that of the next layers, so that no scale of "
            "inputs can be folded into it: leave smoothquant out, or take method='gptq'"
        )
    attention, feed_forward = architecture.norms
    return [Fold(attention, architecture.queries), Fold(feed_forward, architecture.units)]


def everywhere(model: PretrainedModel) -> list[Fold]:
    """Return all places of a block: behind norms, and where a linear layer reads another one's outputs as they are.

    That is the value projection before the one that reads the heads, if every head has its own values, and the
    feed-forward layer whose outputs are multiplied by those of the gate.

    Raises:
        BadInput: there is no place behind the norms.
    """
    architecture, config = architecture_of(model), model.config
    folds = behind_norms(model)
    # a value head that query heads share feeds several inputs of the output projection, one scale each
    own_values = getattr(config, "num_key_value_heads", None) in (None, config.num_attention_heads)
    if own_values and not architecture.is_fused:
        folds.append(Fold(architecture.queries[-1], (architecture.attended,)))
    if len(architecture.units) > 1:
        folds.append(Fold(architecture.units[-1], (architecture.down,)))
    return folds


@torch.no_grad()
def into_norm(norm: nn.Module, divisors: Tensor) -> Tensor:
    """Divide the output of `norm` by `divisors` [I] in place; return what it was really divided by, in float32.

    The norm stores its weight in few bits. What the readers are multiplied by is therefore the quotient of its weights
    before and after, so that nothing is lost between the two; a feature that the norm keeps at 0 is left alone.
    """
    weight: Any = norm.weight
    before = weight.float()
    after = (before / divisors).to(weight.dtype)
    # a quotient below the dtype's range would erase the feature
    after = torch.where((after == 0) | ~torch.isfinite(after), weight, after)
    divided_by = torch.where(after == 0, torch.ones_like(before), before / after.float())
    weight.copy_(after)
    bias: Any = getattr(norm, "bias", None)
    if bias is not None:
        bias.copy_(bias.float() / divided_by)
    return divided_by
