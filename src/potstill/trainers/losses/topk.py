"""The divergence from a teacher of whose distribution only the most probable tokens are known.

Shapes: N target tokens, V vocabulary, K kept entries a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.trainers.losses.dense import gathered_log_softmax, nonnegative

SATURATED = -1e-7
"""Log mass from which on all of it counts as captured; closer to 0, the rest is within float32's rounding."""


def topk_tail_divergence(student_logits: Tensor, teacher_ids: Tensor, teacher_logprobs: Tensor) -> Tensor:
    """Return KL(teacher || student) over K kept entries and one bucket that holds the rest of the vocabulary.

    Word-level distillation (Kim and Rush 2016, arXiv 1606.07947, section 3.1) from a truncated teacher. Without the
    bucket the sum is no divergence: it can be negative, and rewards a student that takes mass from the tail. With it,
    this is a divergence of K + 1 categories: at least 0, at most the dense one, and equal to it for K = V. It holds at
    temperature 1 only: to soften, one would need the normalizer over the whole vocabulary.

    Args:
        student_logits: [N, V].
        teacher_ids: [N, K] token ids, distinct in each row.
        teacher_logprobs: [N, K] log-probabilities at temperature 1.

    Returns:
        [N].
    """
    teacher = teacher_logprobs.float()
    student = gathered_log_softmax(student_logits.float(), teacher_ids)
    weight = teacher.exp()
    # an engine that samples from a nucleus returns -inf outside of it: 0 log 0 = 0
    over_kept = (weight * torch.where(weight > 0, teacher - student, 0.0)).sum(dim=-1)
    teacher_mass, student_mass = teacher.logsumexp(dim=-1), student.logsumexp(dim=-1)
    teacher_tail = _log1mexp(teacher_mass.clamp(max=SATURATED))
    student_tail = _log1mexp(student_mass.clamp(max=SATURATED))
    # the bucket of the other V - K tokens: P log(P / Q), with P = 1 - sum of the kept p, Q = 1 - sum of the kept q
    tail = teacher_tail.exp() * (teacher_tail - student_tail)
    # a teacher whose whole mass was kept has no tail: its bucket is 0 * log 0 = 0
    return nonnegative(over_kept + torch.where(teacher_mass < SATURATED, tail, torch.zeros_like(tail)))


def _log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - exp(x)) for x < 0 without cancellation (Maechler 2012, equation 7)."""
    # each branch gets an argument at which it is finite: an infinite gradient of the unused one times 0 would be NaN
    # switches at -log 2, where both forms lose the least
    near, far = x.clamp(min=-0.6931472), x.clamp(max=-0.6931472)
    return torch.where(x > -0.6931472, torch.log(-torch.expm1(near)), torch.log1p(-torch.exp(far)))
