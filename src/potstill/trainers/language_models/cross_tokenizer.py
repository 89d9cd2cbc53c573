"""A teacher whose vocabulary is not the student's: each reads a row in its own tokens and chat template.

Their answers' tokens are taken in pairs, the n-th with the n-th, as in the universal logit distillation of Boizard et
al. 2024 (arXiv 2402.12030), wherever in the text these are; what is left over of the longer answer has no pair. The
more alike the tokenizers, the more pairs stand for the same text.

Shapes: B rows, T tokens, N targets of the student, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from potstill.models.chat import check_tokenizer
from potstill.models.hidden_states import Projection
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.trainers.language_models.chunked_losses import TargetStates
from potstill.trainers.language_models.hard_label import text_example
from potstill.trainers.language_models.soft_objective import load_teacher
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.examples import Example, collate, micro_batches, target_logits
from potstill.trainers.loop.schedule import Reading

if TYPE_CHECKING:
    from potstill.models.protocols import ModelSource

NONE = -1
"""Index of a target's pair where it has none."""
READ = ("input_ids", "keep", "select")
"""Tensors of a batch that a causal model reads."""


def with_partner(folder: Path, prompt: str) -> Callable[[Mapping[str, Any], Example | str], Example | str]:
    """Return a function that adds a row's tokens for the teacher in `folder`, or returns why it can't read the row.

    Raises:
        BadInput: its tokenizer can't write chats.
    """
    tokenizer = students.load_tokenizer(folder)
    check_tokenizer(tokenizer)
    positions = positions_of(config_of(folder))

    def add(row: Mapping[str, Any], example: Example | str) -> Example | str:
        if isinstance(example, str):
            return example
        partner = text_example(row, tokenizer, prompt)
        if isinstance(partner, str):
            return partner
        if positions is not None and len(partner.ids) > positions:
            return f"longer than the teacher's {positions} tokens"
        return replace(example, partner=partner)

    return add


def in_pairs(reading: Reading) -> Reading:
    """Return how a causal student reads batches whose rows have partners."""
    return replace(reading, parts=lambda examples, budget: micro_batches(examples, budget, collate_pairs))


def collate_pairs(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Return one micro-batch as tensors.

    Returns:
        Those of `collate` for the student's tokens; for the teacher's those that it reads, as `partner_...`; `pair` [N]
        the index of each target's pair among the teacher's targets.
    """
    partners = [example.partner for example in examples if example.partner is not None]
    teacher_batch = collate(partners)
    pairs, first = [], 0
    for example, partner in zip(examples, partners, strict=True):
        length, count = (len(each.ids) - each.prompt for each in (example, partner))
        places = np.arange(length)
        pairs.append(np.where(places < count, first + places, NONE))
        first += count
    batch = collate(examples) | {f"partner_{name}": teacher_batch[name] for name in READ}
    return batch | {"pair": torch.from_numpy(np.concatenate(pairs))}


def live_partner(teacher: ModelSource, *, split: bool = False) -> Callable[[Mapping[str, Tensor]], Tensor | Projection]:
    """Return the logits of the model behind `teacher` at the pair of each target; those without one get any."""
    model, states = load_teacher(teacher, split=split), TargetStates(target_logits)

    def paired_logits(batch: Mapping[str, Tensor]) -> Tensor | Projection:
        logits = states(model, {name: batch[f"partner_{name}"] for name in READ})
        # the objective sets the loss of targets without a pair to 0
        places = batch["pair"].clamp(min=0)
        return replace(logits, states=logits.states[places]) if isinstance(logits, Projection) else logits[places]

    return paired_logits
