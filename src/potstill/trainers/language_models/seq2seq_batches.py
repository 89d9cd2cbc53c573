"""Rows as batches of an encoder-decoder: the prompt goes into the encoder, the answer is what the decoder predicts.

A row is stored like those of causal models: its prompt's tokens, then its targets. A model with dropout samples other
masks when a batch is split another way; without dropout the split can't change the result.

Shapes: B rows, S source tokens, T target tokens, N targets of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from potstill.compression.text_pairs import start_token
from potstill.trainers.loop.examples import Example
from potstill.trainers.loop.schedule import Reading

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel


def reading(config: ModelConfig) -> Reading:
    """Return how the encoder-decoder with this `config` reads rows.

    Raises:
        BadInput: the config does not name the token that the decoder starts with.
    """
    start = start_token(config)
    padding = start if config.pad_token_id is None else config.pad_token_id
    return Reading(partial(parts, start=start, padding=padding), target_logits)


def parts(examples: Sequence[Example], budget: int, start: int, padding: int) -> list[dict[str, Tensor]]:
    """Split a batch into micro-batches of at most `budget` tokens of both sides, padding included, of at least a row.

    `start` is the token that the decoder reads first.
    """
    split: list[list[Example]] = []
    source = target = 0
    for example in sorted(examples, key=lambda example: len(example.ids), reverse=True):
        # here the first row need not be the longest of both sides
        widest = max(source, example.prompt), max(target, len(example.ids) - example.prompt)
        if split and (len(split[-1]) + 1) * sum(widest) <= budget:
            split[-1].append(example)
            source, target = widest
        else:
            split.append([example])
            source, target = example.prompt, len(example.ids) - example.prompt
    return [collate(part, start, padding) for part in split]


def collate(examples: Sequence[Example], start: int, padding: int) -> dict[str, Tensor]:
    """Return one micro-batch as tensors, padded on the right.

    Returns:
        `input_ids` and `attention_mask` [B, S]; `decoder_input_ids` [B, T], the targets shifted right; `select`
        [B, T] which positions of the decoder predict a target; `labels` [N] the targets, row by row.
    """
    sources = [np.asarray(example.ids[: example.prompt], dtype=np.int64) for example in examples]
    targets = [np.asarray(example.ids[example.prompt :], dtype=np.int64) for example in examples]
    batch = {
        "input_ids": padded(sources, padding),
        "attention_mask": present(sources).astype(np.int64),
        # a decoder is causal: its tokens don't attend to the padding on the right, so it takes no mask
        "decoder_input_ids": padded([np.concatenate([[start], ids[:-1]]) for ids in targets], padding),
        "select": present(targets),
        "labels": np.concatenate(targets),
    }
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def padded(rows: Sequence[Any], padding: int) -> Any:
    """Return rows of tokens as one array, filled up on the right."""
    array = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    array[present(rows)] = np.concatenate(rows)
    return array


def present(rows: Sequence[Any]) -> Any:
    """Return which places of `padded` hold a token."""
    lengths = np.array([len(row) for row in rows])
    return np.arange(lengths.max()) < lengths[:, None]


def target_logits(model: PretrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the logits [N, V] at the targets."""
    output = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_input_ids=batch["decoder_input_ids"],
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits[batch["select"]]
