"""How far a compressed model's next-token distributions are from the model's before (same tokenizer, same head).

Shapes: T tokens of a text, H hidden features, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from potstill.compression import rounding
from potstill.compression.architecture import architecture_of

CHUNK = 256
"""Positions whose logits are held at once."""


@torch.no_grad()
def final_states(model: Any, texts: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
    """Return, per text, the last hidden states [T', H] at the positions that predict the answer.

    Keeping these and not the logits costs H and not V numbers a token; the head is never compressed.

    Args:
        model: a causal language model of transformers.
        texts: token ids [T] and how many of them are the prompt's.
    """
    model.eval()
    states = []
    for ids, prompt in texts:
        hidden = model.base_model(input_ids=ids[None].to(model.device), use_cache=False).last_hidden_state
        states.append(hidden[0, max(min(prompt, len(ids) - 1) - 1, 0) : -1])
    return states


@torch.no_grad()
def agreement(head: nn.Module, before: Sequence[Tensor], after: Sequence[Tensor]) -> dict[str, float]:
    """Return `kl`, mean KL(before || after) in nats, and `top1`, the share of positions with the same best token."""
    divergence, same, count = 0.0, 0, 0
    pairs = zip(_chunks(before), _chunks(after), strict=True)
    for old, new in pairs:
        reference, other = head(old).float().log_softmax(-1), head(new).float().log_softmax(-1)
        divergence += float((reference.exp() * (reference - other)).sum())
        same += int((reference.argmax(-1) == other.argmax(-1)).sum())
        count += len(old)
    return {"kl": divergence / max(count, 1), "top1": same / max(count, 1)}


def _chunks(states: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.split(torch.cat(list(states)), CHUNK)


@torch.no_grad()
def outputs(model: Any, texts: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
    """Return, per text, what `compared` compares: states [T', H] before a causal model's head, or the logits [1, C]."""
    if not architecture_of(model).is_encoder:
        return final_states(model, texts)
    model.eval()
    made = [model(input_ids=ids[None].to(model.device)) for ids, _ in texts]
    # an encoder without a head has no distribution, only a vector
    return [one.logits.flatten(0, -2) if "logits" in one else one.last_hidden_state[:, 0] for one in made]


def compared(model: Any, before: Sequence[Tensor], after: Sequence[Tensor]) -> dict[str, float]:
    """Return the `agreement` of a model's `outputs` after a change with those before it."""
    encoder = architecture_of(model).is_encoder
    return agreement(nn.Identity() if encoder else model.lm_head, before, after)


@contextmanager
def quantized_activations(layers: Sequence[nn.Linear], bits: int = 8) -> Iterator[None]:
    """Quantize the inputs of `layers` per token while the context is open, as a W8A8 kernel does."""

    def take(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (rounding.fake_quantize_tokens(args[0], bits), *args[1:])

    handles = [layer.register_forward_pre_hook(take) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
