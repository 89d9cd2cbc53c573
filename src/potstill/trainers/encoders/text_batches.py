"""Labelled texts as batches: what a classifier reads.

A row is stored like those of language models: its tokens, and as its target the number of its class.

Shapes: B rows, T tokens, C classes.
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
from potstill.trainers.losses import cross_entropy

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

UNLABELLED = -1
"""Class of a row without a label, which has only the teacher's part of the loss."""
LEAST = 1e-9
"""Smallest probability of a class: 0 has no logarithm."""


def labelled(ids: Sequence[int], label: int, probabilities: Sequence[float] | None) -> Example:
    """Return a text's tokens with the number of its class, and if given the probabilities [C] of all classes."""
    if probabilities is None:
        return Example([*ids, label], len(ids))
    logprobs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST)).astype(np.float32)
    return Example([*ids, label], len(ids), np.arange(len(logprobs), dtype=np.int32)[None], logprobs[None])


def reading(padding: int) -> Reading:
    """Return how a classifier reads rows; `padding` is its padding token."""
    return Reading(partial(micro_batches, collated=partial(collate, padding=padding)), class_logits)


def collate(examples: Sequence[Example], padding: int) -> dict[str, Tensor]:
    """Return rows as tensors, padded on the right.

    Returns:
        `input_ids` and `attention_mask` [B, T]; `labels` [B]; with soft labels `teacher_logprobs` [B, C].
    """
    lengths = np.array([len(example.ids) - 1 for example in examples])
    input_ids = np.full((len(examples), lengths.max()), padding, dtype=np.int64)
    for row, example in enumerate(examples):
        input_ids[row, : lengths[row]] = example.ids[:-1]
    batch = {
        "input_ids": input_ids,
        "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
        "labels": np.array([int(example.ids[-1]) for example in examples]),
    }
    if examples[0].top_logprobs is not None:
        logprobs = [example.top_logprobs for example in examples if example.top_logprobs is not None]
        batch["teacher_logprobs"] = np.concatenate(logprobs)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def class_logits(model: PretrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the logits [B, C]."""
    logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return logits


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy [B] of the labels [B] from logits [B, C]; 0 where a row has no label."""
    has_label = labels != UNLABELLED
    # clamped only to gather: -1 is no index
    return cross_entropy(logits, labels.clamp(min=0)) * has_label
