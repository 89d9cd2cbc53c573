"""Lazy logits: hidden states and the output layer, multiplied chunk by chunk.

Shapes: N target tokens, n of them in a chunk, H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

import torch
from torch import Tensor, nn

from potstill.models.hidden_states import CLOSE, Head, after_head
from potstill.trainers.loop.student_model import evaluating

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.trainers.loop.schedule import Reading


@dataclass(frozen=True)
class Projection:
    """Logits that are not computed yet."""

    states: Tensor
    """[N, H] inputs of the output layer, in the dtype to compute in."""
    weight: Tensor
    """[V, H]."""
    bias: Tensor | None
    """[V], or None."""
    scale: float = 1.0
    """Factor of the logits."""
    softcap: float | None = None
    """c in c tanh(logits / c), or None."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.states)

    @property
    def size(self) -> int:
        """The number of logits of a token."""
        return len(self.weight)

    def cut(self, size: int) -> Projection:
        """Return the first `size` logits of each token; the caller knows that the others are padding."""
        if size == self.size:
            return self
        return replace(self, weight=self.weight[:size], bias=None if self.bias is None else self.bias[:size])

    def logits(self, rows: slice) -> Tensor:
        """Return the logits [n, V] of some tokens, in float32."""
        return self.shaped(self.raw(rows).float())

    def raw(self, rows: slice) -> Tensor:
        """Return the product of the output layer's matrix with the states of some tokens, plus its bias."""
        dtype = self.states.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return torch.nn.functional.linear(self.states[rows], self.weight.to(dtype), bias)

    def shaped(self, logits: Tensor) -> Tensor:
        """Return logits from that product: scaled and soft-capped, where the model does so."""
        logits = logits if self.scale == 1 else logits * self.scale
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    @classmethod
    def stored(cls, head: Head, bits: Tensor) -> Projection:
        """Return the logits of a teacher's output `head` from its stored hidden states, given by their bits [N, H]."""
        states = head.states(bits)
        bias = None if head.bias is None else head.bias.to(bits.device)
        return cls(states, head.weight.to(bits.device), bias, head.scale, head.softcap)


Logits = Union[Tensor, Projection]
"""Logits [N, V] of targets, computed or not."""


def before_the_output_layer(reading: Reading) -> Reading:
    """Return a reading that leaves the output layer to the objective, where the model's architecture allows that."""
    return replace(reading, logits=TargetStates(reading.logits))


class TargetStates:
    """Reads a batch like a model's own reading, but stops before the output layer where that can be done later.

    It can where the output layer is a plain matrix and the logits rebuilt from its inputs are the model's: tested once
    on two tokens, as architectures change their logits in various ways. For other models the logits are returned.
    """

    def __init__(self, logits: Callable[[Any, Mapping[str, Tensor]], Tensor]) -> None:
        """Read as `logits` does, which returns [N, V]."""
        self._logits = logits
        self._rebuilds: dict[int, bool] = {}

    def __call__(self, model: PretrainedModel, batch: Mapping[str, Tensor]) -> Any:
        """Return the `Projection` of the targets of `batch`, or their logits [N, V]."""
        bare = getattr(model, "module", model)  # without a wrapper such as DataParallel
        if id(bare) not in self._rebuilds:
            self._rebuilds[id(bare)] = rebuilds(bare)
        if not self._rebuilds[id(bare)]:
            return self._logits(model, batch)
        head, select = bare.get_output_embeddings(), batch["select"]
        seen: list[Tensor] = []
        hooks = [head.register_forward_pre_hook(_take(seen)), head.register_forward_hook(_nothing(seen))]
        try:
            # the whole model is called, not its inner one: FSDP gathers weights and reduces gradients by its hooks
            self._logits(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        return projection(bare, seen[0][select])


def projection(model: PretrainedModel, states: Tensor) -> Projection:
    """Return the logits of `model` from states [N, H] that enter its output layer."""
    head = model.get_output_embeddings()
    return Projection(states, head.weight, head.bias, *after_head(model.config))


def rebuilds(model: PretrainedModel) -> bool:
    """Return whether a model's logits are what `projection` makes of its states."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    # adapters and quantized layers compute otherwise than by their weight
    if type(head) is not torch.nn.Linear:
        return False
    ids = torch.tensor([[0, 1]], device=head.weight.device)
    decoder = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(_computed(given[0])))
    try:
        with torch.no_grad(), evaluating(model):
            logits = model(input_ids=ids, use_cache=False, **decoder).logits[0].float()
    finally:
        hook.remove()
    if len(seen) != 1 or seen[0].shape[:2] != ids.shape:
        return False
    rebuilt = projection(model, seen[0][0]).logits(slice(None))
    return bool((rebuilt - logits).abs().max() <= CLOSE * logits.abs().max().clamp(min=1e-6))


def _computed(states: Tensor) -> Tensor:
    """Return states in the dtype that the model computes in: autocast would cast them in the layer itself."""
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


def _take(seen: list[Tensor]) -> Callable[[Any, Any], Any]:
    """Return a hook that keeps the input of a layer, and passes it an empty one."""

    def hook(_: nn.Module, given: tuple[Tensor, ...]) -> Any:
        seen.append(_computed(given[0]))
        return (given[0][:, :0],)

    return hook


def _nothing(seen: list[Tensor]) -> Callable[[Any, Any, Any], Tensor]:
    """Return a hook that puts one zero a token in place of the logits, cheap for the rest of the model."""
    # expanded, not allocated: the rest of the forward pass may index, scale or slice it like logits
    return lambda layer, given, output: output.new_zeros(1).expand(*seen[0].shape[:-1], 1)
