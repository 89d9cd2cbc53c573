"""KL divergence and top-1 agreement of a compressed model with the original (same tokenizer, same output layer).

Shapes: T tokens of a text, H hidden features, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, behind_head
from potstill.compression.text_pairs import decoder_states, pairs_of, start_token

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelOutput, PretrainedModel

CHUNK = 256
"""Positions whose logits are held at once."""
BATCH = 16
"""Texts of one length per batch."""


@torch.no_grad()
def final_states(model: PretrainedModel, texts: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
    """Return, per text, the last hidden states [T', H] at the positions that predict the answer.

    Keeping these and not the logits costs H and not V numbers a token; the head is never compressed.

    Args:
        model: a causal language model or an encoder-decoder of transformers.
        texts: token ids [T] and how many of them are the prompt's, or those that the encoder reads.
    """
    model.eval()
    by_text: dict[int, Tensor] = {}
    if architecture_of(model).decoder_blocks:
        for pairs in pairs_of(texts, start_token(model.config)):
            by_text |= zip(pairs.numbers, decoder_states(model, pairs), strict=True)
        return [by_text[number] for number in range(len(texts))]
    for numbers, batch in _batches(texts):
        hidden = model.base_model(input_ids=batch.to(model.device), use_cache=False).last_hidden_state
        for number, states in zip(numbers, hidden, strict=True):
            ids, prompt = texts[number]
            # position t predicts token t + 1: the answer's first token is predicted at prompt - 1
            by_text[number] = states[max(min(prompt, len(ids) - 1) - 1, 0) : -1]
    return [by_text[number] for number in range(len(texts))]


def _batches(texts: Sequence[tuple[Tensor, int]]) -> Iterator[tuple[list[int], Tensor]]:
    """Yield the numbers of texts of one length, and their token ids [B, T]: nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for number, (ids, _) in enumerate(texts):
        by_length.setdefault(len(ids), []).append(number)
    for group in by_length.values():
        for start in range(0, len(group), BATCH):
            numbers = group[start : start + BATCH]
            yield numbers, torch.stack([texts[number][0] for number in numbers])


@torch.no_grad()
def agreement(
    head: Callable[[Tensor], Tensor],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    new_head: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """Return `kl`, mean KL(before || after) in nats, and `top1`, the share of positions with the same best token.

    `head` makes logits of states; `new_head` is the one for `after`, where the hidden size was reduced.
    """
    divergence, same, count = 0.0, 0, 0
    pairs = zip(_chunks(before), _chunks(after), strict=True)
    for old, new in pairs:
        # float32: in half precision the difference of two close log probabilities is mostly rounding error
        reference, other = head(old).float().log_softmax(-1), (new_head or head)(new).float().log_softmax(-1)
        same += int((reference.argmax(-1) == other.argmax(-1)).sum())
        # p (log p - log q), in place: with a large vocabulary each of these takes a hundred megabytes
        difference = other.neg_().add_(reference)
        divergence += float(reference.exp_().mul_(difference).sum())
        count += len(old)
    return {"kl": divergence / max(count, 1), "top1": same / max(count, 1)}


def _chunks(states: Sequence[Tensor]) -> tuple[Tensor, ...]:
    # chunks cross the texts' borders: only positions are compared, and each chunk's logits take CHUNK times V
    return torch.split(torch.cat(list(states)), CHUNK)


@torch.no_grad()
def outputs(model: PretrainedModel, texts: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
    """Return, per text, what `compared` compares: states [T', H] before a causal model's head, or the logits [1, C]."""
    if not architecture_of(model).is_encoder:
        return final_states(model, texts)
    model.eval()
    by_text: dict[int, Tensor] = {}
    for numbers, batch in _batches(texts):
        rows = logits_or_vectors(model(input_ids=batch.to(model.device)))
        by_text |= {number: row.reshape(-1, row.shape[-1]) for number, row in zip(numbers, rows, strict=True)}
    return [by_text[number] for number in range(len(texts))]


def logits_or_vectors(output: ModelOutput) -> Tensor:
    """Return an encoder's logits, or the first token's hidden state [B, H] without a classification head."""
    rows: Tensor = output.logits if "logits" in output else output.last_hidden_state[:, 0]
    return rows


def compared(model: PretrainedModel, before: Sequence[Tensor], after: Sequence[Tensor]) -> dict[str, float]:
    """Return the `agreement` of a model's `outputs` after a change with those before it."""
    encoder = architecture_of(model).is_encoder
    return agreement(nn.Identity() if encoder else behind_head(model), before, after)
