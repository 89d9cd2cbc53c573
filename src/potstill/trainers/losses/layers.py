"""Losses inside a model: hidden states and attention maps of two layers.

Shapes: N tokens, H hidden size; B rows, A attention heads, T positions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cosine(student_states: Tensor, teacher_states: Tensor) -> Tensor:
    """Return 1 - the cosine of the angle between hidden states: 0 when they point the same way, whatever their length.

    One of the three losses of DistilBERT (Sanh et al. 2019, arXiv 1910.01108, section 2).

    Args:
        student_states: [N, H], projected to the teacher's size if its own differs.
        teacher_states: [N, H].

    Returns:
        [N], from 0 to 2.
    """
    similarity = torch.cosine_similarity(student_states.float(), teacher_states.float(), dim=-1)
    # rounding may take a cosine above 1, and the loss below 0
    return 1 - similarity.clamp(max=1)


def attention_match(student_maps: Tensor, teacher_maps: Tensor, present: Tensor) -> Tensor:
    """Return how far a student's attention is from the teacher's, as the mean of squared differences, for each token.

    Jiao et al. 2020, TinyBERT (arXiv 1909.10351), section 3.1: head by head. Where the models have different numbers of
    heads, which don't correspond then, the mean map of one is compared with that of the other. Padding counts neither
    as a token that attends nor as one that is attended to.

    Args:
        student_maps: [B, A, T, T] attention probabilities, or scores.
        teacher_maps: [B, A', T, T] the same of the teacher.
        present: [B, T] which positions hold a token.

    Returns:
        [N], row by row, for the positions in `present`.
    """
    student, teacher = student_maps.float(), teacher_maps.float()
    if student.shape[1] != teacher.shape[1]:
        student, teacher = student.mean(dim=1, keepdim=True), teacher.mean(dim=1, keepdim=True)
    # selected before it is squared: scores of padding may be -inf, and 0 * inf is NaN
    pairs = (present[:, :, None] & present[:, None, :])[:, None]
    apart = torch.where(pairs, student - teacher, 0.0).square().mean(dim=1).sum(dim=-1)
    return (apart / present.sum(dim=-1, keepdim=True).clamp(min=1))[present]
