"""Frozen weights held in the type that they are stored in, 16 bits mostly, and computed with as if they were float32.

A weight of 16 bits made float32 is the same number. So each linear layer makes its own float32 for the product only, in
the forward and again in the backward pass, and each embedding the rows that it returns: hidden states, loss and the
adapters' gradients are those of a base that is float32 as a whole, in half of its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from potstill.compression.model_types import READ_BY_KERNELS
from potstill.models.encoder_decoder import model_class
from potstill.models.loading import config_of
from potstill.trainers.loop import experts

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

HALVES = (torch.bfloat16, torch.float16)
"""Types that models are stored in."""


class _Product(torch.autograd.Function):
    """The outputs of a linear layer of which nothing is trained, with its weight in another type than its inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return `inputs` [..., I] times `weight` [O, I], which is kept for the backward pass as it is."""
        ctx.save_for_backward(weight)
        return functional.linear(inputs, weight.to(inputs.dtype), None if bias is None else bias.to(inputs.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the inputs."""
        (weight,) = ctx.saved_tensors
        return gradient @ weight.to(gradient.dtype), None, None


def type_to_load(student: str | Path) -> torch.dtype | str:
    """Return the type that the model in `student` is loaded in to be frozen: its own, or float32 for a few small ones.

    Positions that are computed and not stored are computed in the type of the model, and would be other numbers.
    """
    # on the meta device it takes no memory
    with torch.device("meta"):
        empty = model_class(student).from_config(config_of(student))
    computed = any("Sinusoidal" in type(module).__name__ for module in empty.modules())
    return torch.float32 if computed else "auto"


def hold_in_own_type(model: PretrainedModel) -> None:
    """Freeze `model`; its linear layers and embeddings keep their type, and all other weights become float32.

    Layers of a class of their own are among the others, as they may read their weights in ways of their own, and so are
    the weights of experts.
    """
    kept = _keeping(model)
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        in_halves = any(weight.dtype in HALVES for weight in own)
        for weight in own:
            weight.requires_grad_(False)
            if name not in kept and weight.dtype in HALVES:
                weight.data = weight.data.float()
        if name in kept and in_halves:
            _compute_in_type_of_inputs(module)


@contextmanager
def as_float32(model: nn.Module) -> Iterator[None]:
    """Have all weights of 16 bits look like float32 while the context is open, without memory and without numbers.

    peft gives new adapters the type of the weight beside them, and would round those that it has drawn.
    """
    own = [(weight, weight.data) for weight in model.parameters() if weight.dtype in HALVES]
    try:
        for weight, values in own:
            # one number, seen as often as the shape asks for
            weight.data = values.new_zeros((), dtype=torch.float32).expand(values.shape)
        yield
    finally:
        for weight, values in own:
            weight.data = values


def _keeping(model: PretrainedModel) -> set[str]:
    """Return the names of the modules whose weights keep their type."""
    # T5 gives the inputs of these the type of their weights
    wide = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    # these are read past their layers: by kernels, and by peft, which adapts them as weights beside experts
    wide |= set(READ_BY_KERNELS.get(model.config.model_type, ()))
    wide |= set(experts.CONVERTED if experts.weights(model) else ())
    return {
        name
        for name, module in model.named_modules()
        if (type(module) in (nn.Linear, Conv1D, nn.Embedding) or _is_scaled(module)) and not wide & set(name.split("."))
    }


def _compute_in_type_of_inputs(module: nn.Module) -> None:
    """Have a linear layer compute in the type of its inputs, or that of autocast; an embedding return float32."""
    # on the layer itself: its class, by which peft chooses the adapter, stays
    if _is_scaled(module):
        module.forward = _ScaledRows(module)
    else:
        module.forward = _Rows(module) if isinstance(module, nn.Embedding) else _Outputs(module)


def _is_scaled(module: nn.Module) -> bool:
    """Return whether it is an embedding whose rows are multiplied by a number, such as those of Gemma 3 and BART."""
    return type(module).__name__.endswith("ScaledWordEmbedding") and hasattr(module, "embed_scale")


@dataclass(frozen=True)
class _Rows:
    """What an embedding does with ids: its rows, in float32."""

    embedding: nn.Module

    def __call__(self, ids: Tensor) -> Tensor:
        """Return a row for each of the `ids` [...]."""
        return functional.embedding(ids, self.embedding.get_parameter("weight")).float()


@dataclass(frozen=True)
class _ScaledRows(_Rows):
    """What an embedding with a scale does with ids; in its own type the product would be rounded."""

    def __call__(self, ids: Tensor) -> Tensor:
        """Return a row for each of the `ids` [...]."""
        rows = super().__call__(ids)
        return rows * torch.as_tensor(self.embedding.embed_scale, dtype=torch.float32, device=rows.device)


@dataclass(frozen=True)
class _Outputs:
    """What a linear layer does with its inputs."""

    layer: nn.Module

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the outputs of `inputs` [..., I]."""
        kind, layer = inputs.device.type, self.layer
        states = inputs.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else inputs
        weight, bias = layer.get_parameter("weight"), layer._parameters["bias"]
        # Conv1D stores [I, O]
        product: Tensor = _Product.apply(states, weight.T if isinstance(layer, Conv1D) else weight, bias)  # type: ignore[no-untyped-call]
        return product
