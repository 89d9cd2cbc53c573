"""Groups of texts as batches, and the losses of a sentence encoder's embeddings.

A row is one text or several that belong together: an anchor, a positive, perhaps a negative; or a text and its
translation. It is stored as their number, their lengths, their tokens one after another, and a place for a target.

Shapes: B rows, K texts a row, M = B (K - 1) candidates, T tokens, D size of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from potstill.trainers.loop.examples import Example, micro_batches
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.schedule import Reading

TARGET = 0
"""Placeholder for a row's target, which is no token."""


def packed(texts: Sequence[Sequence[int]], vector: NDArray[np.float32] | None = None) -> Example:
    """Return the tokens of texts as one row, with the teacher's `vector` [D] if there is one."""
    ids = [len(texts), *map(len, texts), *(token for text in texts for token in text), TARGET]
    if vector is None:
        return Example(ids, len(ids) - 1)
    return Example(ids, len(ids) - 1, np.zeros((1, 1), dtype=np.int32), vector[None])


def unpacked(example: Example) -> list[list[int]]:
    """Return the tokens of each text of a row.

    >>> unpacked(packed([[5, 6], [7]]))
    [[5, 6], [7]]
    """
    ids = [int(token) for token in example.ids]
    count, place = ids[0], 1 + ids[0]
    texts = []
    for length in ids[1 : 1 + count]:
        texts.append(ids[place : place + length])
        place += length
    return texts


def contrastive_reading(padding: int) -> Reading:
    """Return how anchors and candidates are read: a whole batch at once, since each anchor is compared with all."""
    return Reading(lambda examples, budget: [collate(examples, padding)], vectors)


def distilled_reading(padding: int) -> Reading:
    """Return how texts with a teacher's vectors are read."""
    return Reading(partial(micro_batches, collated=partial(collate, padding=padding)), vectors)


def collate(examples: Sequence[Example], padding: int) -> dict[str, Tensor]:
    """Return rows as tensors, padded on the right.

    Returns:
        `input_ids` and `attention_mask` [K B, T], all first texts before all second ones; `labels` [B], unused but for
        their number; `repeats` [B, M], which candidates equal an anchor's positive; with a teacher its `vectors` [B,
        D].
    """
    rows = [unpacked(example) for example in examples]
    texts = [row[place] for place in range(len(rows[0])) for row in rows]
    lengths = np.array([len(text) for text in texts])
    input_ids = np.full((len(texts), lengths.max()), padding, dtype=np.int64)
    for number, text in enumerate(texts):
        input_ids[number, : len(text)] = text
    batch = {
        "input_ids": input_ids,
        "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
        "labels": np.zeros(len(rows), dtype=np.int64),
        "repeats": _repeats(texts, len(rows)),
    }
    repeats = [example.top_logprobs for example in examples if example.top_logprobs is not None]
    if repeats:
        batch["vectors"] = np.concatenate(repeats)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _repeats(texts: Sequence[Sequence[int]], rows: int) -> NDArray[np.bool_]:
    """Return [B, M] which candidates have the tokens of an anchor's own, and aren't it."""
    numbers: dict[tuple[int, ...], int] = {}
    # equal texts get one number
    kinds = np.array([numbers.setdefault(tuple(text), len(numbers)) for text in texts[rows:]], dtype=np.int64)
    repeats: NDArray[np.bool_] = kinds[None, :] == kinds[:rows, None]
    np.fill_diagonal(repeats, False)
    return repeats


def vectors(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the vectors [K B, D] of a batch's texts."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    embeddings: Tensor = model(inputs)["sentence_embedding"]
    return embeddings


def ranking(anchors: Tensor, candidates: Tensor, repeats: Tensor, scale: float) -> Tensor:
    """Return how far each anchor is from finding its own candidate among all, as cross-entropy over their cosines.

    Multiple negatives ranking: Henderson et al. 2017 (arXiv 1705.00652), section 4.4, with scaled cosines.

    Args:
        anchors: [B, D].
        candidates: [M, D]; number b is anchor b's own, and those from B on are nobody's.
        repeats: [B, M] candidates left out of an anchor's softmax, because they equal its positive.
        scale: what cosines are multiplied by.

    Returns:
        [B].
    """
    unit = torch.nn.functional.normalize
    scores = scale * unit(anchors.float(), dim=-1) @ unit(candidates.float(), dim=-1).T
    scores = scores.masked_fill(repeats, float("-inf"))
    # cross-entropy with label b for anchor b: logsumexp of the row, less its diagonal
    return scores.logsumexp(dim=-1) - scores.diagonal()


@dataclass(frozen=True)
class Contrastive:
    """The `ranking` of the candidates of a batch."""

    scale: float
    """What cosines are multiplied by."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [B] of the rows; what the student says are its vectors [K B, D]."""
        rows = len(batch["labels"])
        return ranking(logits[:rows], logits[rows:], batch["repeats"], self.scale)


class Distilled:
    """The distance of the student's vectors from a teacher's, text by text."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return the mean squared error over the vector of each text against the teacher's of the first.

        Reimers and Gurevych 2020 (arXiv 2004.09813), section 2. What the student says, the `logits`, are its vectors
        [K B, D].
        """
        targets = batch["vectors"].float()
        parts = logits.float().view(-1, *targets.shape)
        errors = (parts - targets).square().mean(dim=-1)
        names = ("text", "translation")
        metrics = {"cosine": torch.cosine_similarity(parts[0].detach(), targets, dim=-1)}
        return Losses(dict(zip(names, errors, strict=False)), metrics)
