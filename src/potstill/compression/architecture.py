"""Where each supported model type keeps its blocks, projections and norms.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel


@dataclass(frozen=True)
class Architecture:
    """The parts of one kind of model; paths are those inside a block, except where it is said."""

    blocks: str
    """Path of the list of blocks in the base model."""
    queries: tuple[str, ...]
    """Projections whose output features are heads: query, key, value; or one that is fused, in that order."""
    attended: str
    """Projection that reads the heads."""
    units: tuple[str, ...]
    """Projections whose output features are the feed-forward units: gate and up, or the one before the activation."""
    down: str
    """Projection that reads the feed-forward units."""
    norms: tuple[str, ...]
    """Norms over the hidden size."""
    unit_field: str = "intermediate_size"
    """Field of the config that counts the feed-forward units."""
    is_encoder: bool = False
    """Whether it reads both ways, and predicts no next token."""

    @property
    def is_fused(self) -> bool:
        """Whether query, key and value are one projection."""
        return len(self.queries) == 1


_LLAMA = Architecture(
    blocks="layers",
    queries=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    attended="self_attn.o_proj",
    units=("mlp.gate_proj", "mlp.up_proj"),
    down="mlp.down_proj",
    norms=("input_layernorm", "post_attention_layernorm"),
)
_GPT2 = Architecture(
    blocks="h",
    queries=("attn.c_attn",),
    attended="attn.c_proj",
    units=("mlp.c_fc",),
    down="mlp.c_proj",
    norms=("ln_1", "ln_2"),
    unit_field="n_inner",
)
_BERT = Architecture(
    blocks="encoder.layer",
    queries=("attention.self.query", "attention.self.key", "attention.self.value"),
    attended="attention.output.dense",
    units=("intermediate.dense",),
    down="output.dense",
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    is_encoder=True,
)
ARCHITECTURES = {
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gpt2": _GPT2,
    "bert": _BERT,
    "roberta": _BERT,
}
"""What is known, by the `model_type` of the config."""


def architecture_of(model: PretrainedModel) -> Architecture:
    """Return the map of a model of transformers.

    Raises:
        BadInput: its type is not one of `ARCHITECTURES`.
    """
    return architecture_for(model.config.model_type)


def architecture_for(model_type: str) -> Architecture:
    """Return the map of models of `model_type`.

    Raises:
        BadInput: it is not one of `ARCHITECTURES`.
    """
    if model_type not in ARCHITECTURES:
        raise BadInput(
            f"models of type {model_type!r} can't be compressed yet; supported are {', '.join(sorted(ARCHITECTURES))}. "
            "To add one, say in compression/architecture.py where its blocks, projections and norms are"
        )
    return ARCHITECTURES[model_type]


def blocks_of(model: PretrainedModel) -> tuple[str, nn.ModuleList]:
    """Return the path of the list of blocks in `model`, and the list.

    Raises:
        BadInput: the model's type is not known.
    """
    inside = architecture_of(model).blocks
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
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


# a class of its own, so that saving knows which layers to turn back
class WasConv1D(nn.Linear):
    """A linear layer [O, I] that its kind of model stores the other way round."""


def with_linear_layers(model: PretrainedModel) -> None:
    """Replace every `Conv1D` of `model`, GPT-2's layer whose weight is stored [I, O], by an `nn.Linear` [O, I]."""
    from transformers.pytorch_utils import Conv1D

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
