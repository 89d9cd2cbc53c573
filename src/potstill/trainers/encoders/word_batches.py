"""Texts whose words have labels, as batches.

A row is stored like those of language models: its tokens, then a number for each target, which encodes its position
and its class.

Shapes: B rows, T tokens, N targets, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from potstill.trainers.loop.examples import Example, micro_batches
from potstill.trainers.loop.schedule import Reading

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def tagged(ids: Sequence[int], targets: Sequence[tuple[int, int]], count: int) -> Example:
    """Return a text's tokens with its targets: (place, number of the class, -1 for none) of `count` classes."""
    # class -1 becomes 0, so that divmod by count + 1 gives both back
    return Example([*ids, *(place * (count + 1) + number + 1 for place, number in targets)], len(ids))


def reading(padding: int, count: int) -> Reading:
    """Return how texts with labels of `count` classes are read; `padding` is the padding token."""
    return Reading(partial(micro_batches, collated=partial(collate, padding=padding, count=count)), word_logits)


def collate(examples: Sequence[Example], padding: int, count: int) -> dict[str, Tensor]:
    """Return rows as tensors, padded on the right.

    Returns:
        `input_ids` and `attention_mask` [B, T]; `labels`, `rows` and `places` [N] of the targets.
    """
    lengths = np.array([example.prompt for example in examples])
    input_ids = np.full((len(examples), lengths.max()), padding, dtype=np.int64)
    for row, example in enumerate(examples):
        input_ids[row, : lengths[row]] = example.ids[: example.prompt]
    targets = [np.asarray(example.ids[example.prompt :], dtype=np.int64) for example in examples]
    places, numbers = np.divmod(np.concatenate(targets), count + 1)
    batch = {
        "input_ids": input_ids,
        "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
        "labels": numbers - 1,
        "rows": np.repeat(np.arange(len(examples)), [len(each) for each in targets]),
        "places": places,
    }
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def word_logits(model: PretrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the logits [N, C] of the targets."""
    logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return logits[batch["rows"], batch["places"]]
