"""Packing: rows concatenated to one sequence, so that nothing is computed for padding.

Each row's positions start at 0 again, by which transformers' masks keep a row from seeing those before it; so packing
changes what is computed, not the result. Krell et al. 2021 (arXiv 2107.02027, section 3.2) call for just these two:
positions that restart, and a mask between the rows.

Shapes: T input tokens of all rows of a part, R target positions, N target tokens (N = R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from potstill.errors import BadInput
from potstill.trainers.loop.examples import Example, collate, micro_batches
from potstill.trainers.loop.schedule import CAUSAL, Reading
from potstill.trainers.loop.student_model import evaluating

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

CLOSE = 1e-3
"""Tolerance of logits of packed rows, relative to the largest logit: kernels sum in another order."""
PROBE = (5, 3)
"""Lengths of the two rows that a model is tested on."""


def packed(reading: Reading, model: PretrainedModel) -> Reading:
    """Return a reading that packs the rows of a batch, for `model`.

    Raises:
        BadInput: it reads other rows than a causal model's, or the model lets packed rows see each other.
    """
    if reading.parts is not CAUSAL.parts:
        raise BadInput("packing is for causal models and rows of one text each: leave packing out")
    if not _keeps_apart(model):
        raise BadInput(
            f"a {model.config.model_type} model lets packed rows see each other, as its attention does not "
            "go by their positions: leave packing out"
        )
    return replace(reading, parts=packed_batches)


def packed_batches(examples: Sequence[Example], budget: int) -> list[dict[str, Tensor]]:
    """Split a batch into micro-batches of packed rows, of at most `budget` tokens and at least one row each."""
    parts: list[list[Example]] = []
    # greedy, longest first: a row goes to the last micro-batch or opens another
    room = 0
    for example in sorted(examples, key=lambda example: len(example.ids), reverse=True):
        length = len(example.ids) - 1
        if not parts or length > room:
            parts.append([])
            room = budget
        parts[-1].append(example)
        room -= length
    return [pack(part) for part in parts]


def pack(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Return one micro-batch as tensors, as `examples.collate` does, with B = 1.

    Returns:
        `input_ids` and `position_ids` [1, T]; `keep` [R]; `select` [1, R]; `labels` [N] and what else belongs to them.
    """
    lengths = [len(example.ids) - 1 for example in examples]
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    keep = [torch.from_numpy(start + example.targets() - 1) for example, start in zip(examples, starts, strict=True)]
    # tensors of targets are row by row already, however the inputs are laid out
    batch = collate(examples)
    tokens = torch.cat([torch.as_tensor(example.ids[:-1], dtype=torch.int64) for example in examples])
    batch["input_ids"] = tokens[None]
    batch["position_ids"] = torch.cat([torch.arange(length) for length in lengths])[None]
    batch["keep"] = torch.cat(keep)
    batch["select"] = torch.ones(1, len(batch["keep"]), dtype=torch.bool)
    return batch


@torch.no_grad()
def _keeps_apart(model: PretrainedModel) -> bool:
    """Return whether the logits of packed rows are those of the rows alone."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    rows = [Example([(7 * place + length) % vocabulary for place in range(length)], 1) for length in PROBE]
    with evaluating(model):
        alone, together = (
            torch.cat([CAUSAL.logits(model, _moved(part, model.device)) for part in parts])
            for parts in ([part for row in rows for part in micro_batches([row], 1)], [pack(rows)])
        )
    return bool((alone - together).abs().max() <= CLOSE * alone.abs().max())


def _moved(part: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return the tensors on the model's device."""
    return {name: tensor.to(device) for name, tensor in part.items()}
