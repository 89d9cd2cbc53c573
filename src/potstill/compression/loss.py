"""Loss, perplexity and accuracy of a language model or classifier on texts.

Shapes: B texts, T tokens of a text, N predictions, C classes or tokens to choose among.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from potstill.compression.architecture import architecture_of, behind_head
from potstill.compression.text_pairs import decoder_states, pairs_of, start_token
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

BATCH = 16
"""Texts run at once."""
CHUNK = 1024
"""Predictions whose logits are held at once."""
HIGHEST = 1e8
"""Upper bound of the perplexity, so that one broken sub-model doesn't dominate a regression over many."""


@dataclass(frozen=True)
class Batch:
    """Texts of one length, with what is to be predicted of them."""

    ids: Tensor
    """Token ids [B, T]."""
    prompts: Tensor
    """Per text how many tokens are the prompt's, which are not predicted, or the encoder's [B]."""
    labels: Tensor | None = None
    """Classes of the texts [B], for a classifier; without them the next tokens are predicted."""


def batches_of(texts: Sequence[tuple[Tensor, int]], labels: Sequence[int] | None = None) -> list[Batch]:
    """Return `texts` (token ids [T], length of the prompt) as batches of equal length, so that nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for number, (ids, _) in enumerate(texts):
        by_length.setdefault(len(ids), []).append(number)
    groups = [
        group[start : start + BATCH] for _, group in sorted(by_length.items()) for start in range(0, len(group), BATCH)
    ]
    return [
        Batch(
            torch.stack([texts[number][0] for number in group]),
            torch.tensor([texts[number][1] for number in group]),
            None if labels is None else torch.tensor([labels[number] for number in group]),
        )
        for group in groups
    ]


def predictions(
    model: PretrainedModel, batch: Batch, score: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return `score(logits [N, C], targets [N])` of every prediction, and the text that each belongs to [N].

    Raises:
        BadInput: an encoder without classes has nothing to predict.
    """
    ids = batch.ids.to(model.device)
    if batch.labels is not None:
        logits = model(input_ids=ids).logits
        return score(logits.float(), batch.labels.to(logits.device)), torch.arange(len(ids))
    if architecture_of(model).is_encoder:
        raise BadInput(
            "an encoder predicts no next token: name the column of its classes with label=, and give a classifier"
        )
    chosen, wanted, owners = _predicting(model, batch)
    # the output layer runs in chunks: logits of all positions at once would take N times the vocabulary
    parts = zip(torch.split(chosen, CHUNK), torch.split(wanted, CHUNK), strict=True)
    head = behind_head(model)
    scores = [score(head(part).float(), targets) for part, targets in parts]
    return torch.cat(scores), owners


def _predicting(model: PretrainedModel, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the hidden states that predict a token [N, H], these tokens [N], and the text that each belongs to [N]."""
    ids = batch.ids.to(model.device)
    if architecture_of(model).decoder_blocks:
        pairs = pairs_of(list(zip(ids, batch.prompts.tolist(), strict=True)), start_token(model.config))
        owners = [torch.tensor(each.numbers).repeat_interleave(each.targets.shape[1]) for each in pairs]
        states = torch.cat([decoder_states(model, each).flatten(0, 1) for each in pairs])
        return states, torch.cat([each.targets.flatten() for each in pairs]), torch.cat(owners)
    states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    # the first token is never predicted; of a text that is all prompt the last one is
    first = batch.prompts.clamp(min=1, max=ids.shape[1] - 1)
    counted = torch.arange(1, ids.shape[1])[None] >= first[:, None]
    return states[counted.to(ids.device)], ids[:, 1:][counted.to(ids.device)], counted.nonzero()[:, 0]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each prediction [N], in nats."""
    return functional.cross_entropy(logits, targets, reduction="none")


def is_right(logits: Tensor, targets: Tensor) -> Tensor:
    """Return for each prediction whether the best one is the target [N], as a number."""
    return (logits.argmax(-1) == targets).float()


@torch.no_grad()
def mean(model: PretrainedModel, batches: Sequence[Batch], score: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the mean of a score over all predictions."""
    model.eval()
    total, count = 0.0, 0
    for batch in batches:
        scores, _ = predictions(model, batch, score)
        total, count = total + float(scores.sum()), count + len(scores)
    return total / max(count, 1)


def loss(model: PretrainedModel, batches: Sequence[Batch]) -> float:
    """Return the mean loss of a prediction, in nats; infinite where it is NaN."""
    value = mean(model, batches, cross_entropy)
    return math.inf if math.isnan(value) else value


def minus_perplexity(model: PretrainedModel, batches: Sequence[Batch]) -> float:
    """Return -exp(loss), at least -`HIGHEST`: higher is better."""
    return -math.exp(min(loss(model, batches), math.log(HIGHEST)))


def accuracy(model: PretrainedModel, batches: Sequence[Batch]) -> float:
    """Return the share of predictions that are right: classes, or next tokens."""
    return mean(model, batches, is_right)
