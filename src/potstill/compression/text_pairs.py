"""Pairs of texts: what an encoder-decoder reads, and what it writes.

A pair is stored as one row of tokens, those that the encoder reads and then the decoder's targets, with the number of
the former. Shapes: B pairs, S tokens of a source, T targets, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

BATCH = 16
"""Pairs run at once."""


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs whose sources have one length, and whose targets have one, so that nothing is padded."""

    numbers: list[int]
    """Which of the texts these are [B]."""
    sources: Tensor
    """Token ids that the encoder reads [B, S]."""
    targets: Tensor
    """Token ids that the decoder predicts [B, T]."""
    start: int
    """Token that the decoder reads first."""

    @property
    def decoder_inputs(self) -> Tensor:
        """Token ids that the decoder reads [B, T]: at each position the target before."""
        return torch.cat([torch.full_like(self.targets[:, :1], self.start), self.targets[:, :-1]], 1)


def start_token(config: ModelConfig) -> int:
    """Return the token that the decoder of models with this `config` reads first.

    Raises:
        BadInput: the config does not name it.
    """
    start: int | None = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise BadInput(
            f"the config of this {config.model_type} model names no decoder_start_token_id, which its decoder reads "
            "first: name it in config.json (T5: the padding token; BART: the end token)"
        )
    return start


def pairs_of(texts: Sequence[tuple[Tensor, int]], start: int) -> list[Pairs]:
    """Return pairs (token ids [S + T], S) as batches of equal lengths; `start` is the token before the targets."""
    by_lengths: dict[tuple[int, int], list[int]] = {}
    for number, (ids, source) in enumerate(texts):
        by_lengths.setdefault((source, len(ids)), []).append(number)
    batches = []
    for (source, _), group in sorted(by_lengths.items()):
        for begin in range(0, len(group), BATCH):
            numbers = group[begin : begin + BATCH]
            ids = torch.stack([texts[number][0] for number in numbers])
            batches.append(Pairs(numbers, ids[:, :source], ids[:, source:], start))
    return batches


def decoder_states(model: PretrainedModel, pairs: Pairs) -> Tensor:
    """Return the last hidden states [B, T, H] of the decoder of `model`, each of which predicts a target."""
    # the halves, as a T5 with a head is its own base model
    return decoded(model, pairs, encoded(model, pairs))


def encoded(model: PretrainedModel, pairs: Pairs) -> Tensor:
    """Return what the encoder of `model` puts out [B, S, H]."""
    states: Tensor = model.get_encoder()(input_ids=pairs.sources.to(model.device)).last_hidden_state
    return states


def decoded(model: PretrainedModel, pairs: Pairs, read: Tensor) -> Tensor:
    """Return the last hidden states [B, T, H] of the decoder of `model`, whose cross-attention reads `read`."""
    ids = pairs.decoder_inputs.to(model.device)
    states: Tensor = model.get_decoder()(input_ids=ids, encoder_hidden_states=read, use_cache=False).last_hidden_state
    return states
