"""A model's last hidden states, and the output layer that maps them to logits: exact distributions, 2 H bytes a token.

The states are those that enter the output layer, after the last norm. Storing them instead of logits loses nothing and
takes V / H times less; the logits can be softened, unlike a top-k. Pure functions on models and tensors.

Shapes: B rows, T positions, N positions of all rows, n of them in a chunk, H hidden size, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from potstill.errors import BadInput
from potstill.models.loading import config_of
from potstill.models.weights import weight_files

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""What states are stored as."""
CLOSE = 2e-2
"""Largest relative difference of rebuilt logits that rounding can cause."""


@dataclass(frozen=True)
class Head:
    """What a model does to its last hidden states."""

    weight: Tensor
    """[V, H]."""
    bias: Tensor | None
    """[V], or None."""
    scale: float
    """Factor of the logits (Cohere's `logit_scale`, one by Granite's `logits_scaling`)."""
    softcap: float | None
    """c in c tanh(logits / c) (Gemma 2), or None."""
    dtype: str
    """Type of the states."""

    def states(self, bits: Tensor) -> Tensor:
        """Return the states [N, H] in float32 that these bits stand for."""
        return bits.view(DTYPES[self.dtype]).float()

    def logits(self, bits: Tensor) -> Tensor:
        """Return the logits [N, V] in float32 of states given by their bits [N, H], as int16."""
        raw = torch.nn.functional.linear(self.states(bits), self.weight.to(bits.device), self.bias) * self.scale
        return raw if self.softcap is None else self.softcap * torch.tanh(raw / self.softcap)

    @classmethod
    def of(cls, model: PretrainedModel, dtype: str) -> Head:
        """Return the output layer of a loaded `model`."""
        layer = model.get_output_embeddings()
        bias = getattr(layer, "bias", None)
        return cls(
            layer.weight.detach().float(),
            None if bias is None else bias.detach().float(),
            *after_head(model.config),
            dtype,
        )

    @classmethod
    def load(cls, folder: Path, dtype: str) -> Head:
        """Return the output layer of the model in `folder`, without loading the rest of it.

        Raises:
            BadInput: its weights aren't found.
        """
        from transformers import AutoModelForCausalLM

        config = config_of(folder)
        # on the meta device the model takes no memory: only the names of its parameters are wanted
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
        layers = [empty.get_output_embeddings(), empty.get_input_embeddings()]
        tied = bool(getattr(config.get_text_config(), "tie_word_embeddings", False))
        wanted = [layer.weight for layer in layers[: 1 + tied]]
        # a tied layer is stored under one of its names, which checkpoints choose differently
        names = [
            name
            for name, parameter in empty.named_parameters(remove_duplicate=False)
            if any(parameter is w for w in wanted)
        ]
        weight = _tensor(folder, names)
        if weight is None:
            raise BadInput(f"no output layer in {folder}: none of {', '.join(names)} is in its *.safetensors")
        bias = None
        if getattr(layers[0], "bias", None) is not None:
            bias = _tensor(folder, [name.removesuffix("weight") + "bias" for name in names])
        return cls(weight.float(), None if bias is None else bias.float(), *after_head(config), dtype)


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


def projection(model: PretrainedModel, states: Tensor) -> Projection:
    """Return the logits of `model` from states [N, H] that enter its output layer."""
    head = model.get_output_embeddings()
    return Projection(states, head.weight, head.bias, *after_head(model.config))


@torch.no_grad()
def capture(model: PretrainedModel, ids: list[int], first: int) -> tuple[Tensor, Tensor]:
    """Return the states [T, H] from which the tokens from number `first` on are predicted, and the logits [T, V]."""
    seen: list[Tensor] = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        device = next(model.parameters()).device
        # the last token predicts nothing, and state t - 1 predicts token t: hence `first - 1` below
        logits = model(input_ids=torch.tensor([ids[:-1]], device=device), use_cache=False).logits
    finally:
        hook.remove()
    return seen[0][0, first - 1 :], logits[0, first - 1 :].float()


def bits_of(states: Tensor, dtype: str) -> Tensor:
    """Return states [N, H] as the int16 bits of `dtype`.

    Raises:
        BadInput: a state is too large for float16.
    """
    stored = states.to(DTYPES[dtype]).cpu()
    if not bool(torch.isfinite(stored).all()):
        raise BadInput(
            f"a hidden state of {float(states.abs().max()):.3g} doesn't fit {dtype}: take a teacher in bfloat16"
        )
    # as integers, because numpy and Arrow have no bfloat16
    return stored.contiguous().view(torch.int16)


def check_rebuilt(head: Head, bits: Tensor, logits: Tensor) -> None:
    """Check that `head` rebuilds the model's `logits` [N, V] from the states.

    Raises:
        BadInput: it doesn't: the model changes its logits after the output layer in a way that `Head` lacks.
    """
    rebuilt = head.logits(bits)
    apart = float((rebuilt - logits.cpu()).abs().max() / logits.abs().max().clamp(min=1e-6).cpu())
    if not apart <= CLOSE:
        raise BadInput(
            f"the teacher's logits can't be rebuilt from its last hidden states (they differ by {apart:.1%}): its "
            'architecture changes them after the output layer; take mode="top"'
        )


def after_head(config: ModelConfig) -> tuple[float, float | None]:
    """Return what a model of this configuration does to its logits: (scale, softcap)."""
    text = config.get_text_config()
    scale = float(getattr(text, "logit_scale", None) or 1.0) / float(getattr(text, "logits_scaling", None) or 1.0)
    return scale, getattr(text, "final_logit_softcapping", None)


def _tensor(folder: Path, names: list[str]) -> Tensor | None:
    """Return the first of the tensors called `names` in a model folder."""
    from safetensors import safe_open

    for file in weight_files(folder):
        with safe_open(str(file), framework="pt") as tensors:
            for name in names:
                if name in tensors.keys():  # noqa: SIM118 - it is no dict
                    tensor: Tensor = tensors.get_tensor(name)
                    return tensor
    return None
