"""Where a model keeps its blocks, projections and norms: what is said of its type in `model_types`, made plain.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.block_parts import Architecture
from potstill.compression.expert_layers import join, take_apart
from potstill.compression.model_types import DESCRIPTIONS, WHY_NOT
from potstill.compression.text_part import sees_images
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel


def architecture_of(model: PretrainedModel) -> Architecture:
    """Return the map of a model of transformers.

    Raises:
        BadInput: its type is not described.
    """
    return architecture_for(model.config)


def architecture_for(config: ModelConfig) -> Architecture:
    """Return the map of models with this `config`.

    Raises:
        BadInput: their type is not described, or not with these settings.
    """
    kind = config.model_type
    if kind not in DESCRIPTIONS:
        if sees_images(config):
            raise BadInput(f"models of type {kind!r} see images too: take their text part first, by TextPart(model)")
        why = f": {WHY_NOT[kind]}" if kind in WHY_NOT else ""
        raise BadInput(
            f"models of type {kind!r} can't be compressed yet{why}; those that can are "
            f"{', '.join(sorted(DESCRIPTIONS))}"
        )
    description = DESCRIPTIONS[kind]
    return description if isinstance(description, Architecture) else description(config)


def blocks_of(model: PretrainedModel) -> tuple[str, nn.ModuleList]:
    """Return the path of the list of blocks in `model`, and the list.

    Raises:
        BadInput: the model's type is not known, or it has two lists.
    """
    lists = stacks_of(model)
    if len(lists) > 1:
        raise BadInput(
            f"a {model.config.model_type} model is an encoder-decoder, which has two lists of blocks: take KeepLayers, "
            "DepthPrune, MagnitudePrune, WandaPrune, SparseGPTPrune or GOBO, or QuantizeInt8 or QuantizeFP8 without "
            "calibration"
        )
    return lists[0]


def stacks_of(model: PretrainedModel) -> list[tuple[str, nn.ModuleList]]:
    """Return the path of each list of blocks in `model`, and the list; an encoder-decoder has two.

    Raises:
        BadInput: the model's type is not known.
    """
    arch = architecture_of(model)
    return [_list_at(model, inside) for inside in (arch.blocks, arch.decoder_blocks) if inside]


def _list_at(model: PretrainedModel, inside: str) -> tuple[str, nn.ModuleList]:
    # a model without a head is its own base model, and its paths have no prefix
    path = inside if model.base_model is model else f"{model.base_model_prefix}.{inside}"
    blocks = model.get_submodule(path)
    assert isinstance(blocks, nn.ModuleList)
    return path, blocks


def head_size(config: ModelConfig) -> int:
    """Return the features of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def key_value_heads(config: ModelConfig) -> int:
    """Return the heads that keys and values have: as many as queries, or fewer that several queries share."""
    arch = architecture_for(config)
    return 1 if arch.one_group else int(getattr(config, arch.group_field, None) or config.num_attention_heads)


def behind_head(model: PretrainedModel) -> Callable[[Tensor], Tensor]:
    """Return what makes logits of hidden states [..., H]: the output layer, and the scale or bound that follows it."""
    return scaled_as(model, model.get_output_embeddings())


def scaled_as(model: PretrainedModel, head: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return `head` with what `model` does to logits around its output layer.

    Granite divides them, Gemma 2 bounds them; T5 scales states before, and BART's relatives add a bias.
    """
    divisor = float(getattr(model.config, "logits_scaling", None) or 1)
    cap = getattr(model.config, "final_logit_softcapping", None)
    scale = model.config.d_model**-0.5 if getattr(model.config, "scale_decoder_outputs", False) else 1
    bias = getattr(model, "final_logits_bias", None)

    def logits(states: Tensor) -> Tensor:
        values: Tensor = head(states if scale == 1 else states * scale)
        values = values if divisor == 1 else values / divisor
        values = values if bias is None else values + bias.to(values)[0]
        return torch.tanh(values / cap) * cap if cap else values

    return logits


# a class of its own, so that saving knows which layers to turn back
class WasConv1D(nn.Linear):
    """A linear layer [O, I] that its kind of model stores the other way round."""


def with_linear_layers(model: PretrainedModel) -> None:
    """Replace every layer of `model` that is stored otherwise by `nn.Linear` [O, I]: GPT-2's `Conv1D`, and experts."""
    from transformers.pytorch_utils import Conv1D

    take_apart(model)
    for parent, name, old in list(_children(model, Conv1D)):
        new = WasConv1D(old.weight.shape[0], old.nf, dtype=old.weight.dtype, device=old.weight.device)
        _take(new, old)
        setattr(parent, name, new)


def stores_transposed(model: PretrainedModel) -> bool:
    """Return whether a model has layers that its kind stores the other way round."""
    return any(isinstance(module, WasConv1D) for module in model.modules())


def with_own_layers(model: PretrainedModel) -> None:
    """Undo `with_linear_layers`, so that the model is saved as its kind is."""
    from transformers.pytorch_utils import Conv1D

    join(model)
    for parent, name, old in list(_children(model, WasConv1D)):
        new = Conv1D(old.out_features, old.in_features).to(old.weight)
        _take(new, old)
        setattr(parent, name, new)


def _children(model: nn.Module, kind: type[nn.Module]) -> Iterator[tuple[nn.Module, str, Any]]:
    """Yield (parent, name, module) of every module of a `kind`."""
    for parent in model.modules():
        yield from ((parent, name, child) for name, child in parent.named_children() if type(child) is kind)


@torch.no_grad()
def _take(new: nn.Linear, old: nn.Linear) -> None:
    """Give `new` the bias and the transposed weight of `old`; one of them is a `Conv1D`."""
    new.weight.copy_(old.weight.T)
    new.bias.copy_(old.bias)
