"""Losses of tokens: cross-entropy, and how far a student's distribution is from its teacher's.

Both distributions are softened by `temperature`, above 0; 1 leaves them as they are. None of these functions makes up
for the gradient's shrinking with it: `Divergence.factor` of `language_models.divergence` does. A divergence is never
below 0 and, where the teacher rules tokens out with logits of -inf, finite with finite gradients.

Shapes: N target tokens, V vocabulary, K kept entries a token. p is the teacher's distribution, q the student's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOWEST = -87.0
"""Log-probability below which a token counts as this unlikely where it would divide: e^-87 is about the smallest normal
float32, and the logarithm of less would be infinite."""
SATURATED = -1e-7
"""Log mass from which on all of it counts as captured; closer to 0, the rest is within float32's rounding."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the negative log-likelihood of the labels: the hard-label loss.

    Args:
        logits: [N, V].
        labels: [N] token ids.

    Returns:
        [N].
    """
    return -gathered_log_softmax(logits.float(), labels.unsqueeze(-1)).squeeze(-1)


def forward_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return KL(p || q): the student is to cover all that the teacher finds likely.

    Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), section 2.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.

    Returns:
        [N].
    """
    student, teacher = softened(student_logits, temperature), softened(teacher_logits, temperature)
    return nonnegative(_kl(teacher, student))


def reverse_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return KL(q || p): the student is to keep to what the teacher finds likely, even if that is not all of it.

    Gu et al. 2024, MiniLLM (arXiv 2306.08543), token by token.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.

    Returns:
        [N].
    """
    student, teacher = softened(student_logits, temperature), softened(teacher_logits, temperature)
    # clamped, as log p is the divisor here: a token that the teacher rules out would cost infinity
    return nonnegative(_kl(student, teacher.clamp(min=LOWEST)))


def jensen_shannon(student_logits: Tensor, teacher_logits: Tensor, temperature: float, beta: float) -> Tensor:
    """Return the generalized Jensen-Shannon divergence: beta KL(p || m) + (1 - beta) KL(q || m).

    The mixture is m = beta p + (1 - beta) q. Agarwal et al. 2024, on-policy distillation (arXiv 2306.13649). It
    vanishes as beta goes to 0 or 1, so there this is what beta (or 1 - beta) times a KL tends to, divided by it, as in
    trl: forward KL for beta = 0, reverse KL for beta = 1. At 0.5 it treats both alike.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.
        beta: from 0 to 1.

    Returns:
        [N], at most log 2 for 0 < beta < 1.
    """
    if beta == 0:
        return forward_kl(student_logits, teacher_logits, temperature)
    if beta == 1:
        return reverse_kl(student_logits, teacher_logits, temperature)
    student, teacher = _bounded(student_logits, teacher_logits, temperature)
    # log m = log(beta p + (1 - beta) q), in log space, where small probabilities don't underflow
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return nonnegative(beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture))


def skew_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float, skew: float) -> Tensor:
    """Return KL(p || skew p + (1 - skew) q): forward KL whose gradient stays bounded where the student is far off.

    Ko et al. 2024, DistiLLM (arXiv 2402.03898).

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.
        skew: from 0, which is forward KL, to below 1.

    Returns:
        [N], at most -log(skew).
    """
    if skew == 0:
        return forward_kl(student_logits, teacher_logits, temperature)
    student, teacher = _bounded(student_logits, teacher_logits, temperature)
    return _skewed(teacher, student, skew)


def skew_reverse_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float, skew: float) -> Tensor:
    """Return KL(q || skew q + (1 - skew) p): reverse KL whose gradient stays bounded where the student is far off.

    Ko et al. 2024, DistiLLM (arXiv 2402.03898).

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.
        skew: from 0, which is reverse KL, to below 1.

    Returns:
        [N], at most -log(skew).
    """
    if skew == 0:
        return reverse_kl(student_logits, teacher_logits, temperature)
    student, teacher = _bounded(student_logits, teacher_logits, temperature)
    return _skewed(student, teacher, skew)


def _skewed(first: Tensor, second: Tensor, skew: float) -> Tensor:
    """Return KL(first || skew first + (1 - skew) second) [N] from log-probabilities [N, V]."""
    # the ratio in it is at most 1 / skew: neither the value nor the gradient can explode
    return nonnegative(_kl(first, torch.logaddexp(first + math.log(skew), second + math.log1p(-skew))))


def total_variation(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return half the sum of |p - q|: the share of the probability that lies elsewhere.

    Wen et al. 2023, f-divergence distillation (arXiv 2307.15190), token by token.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].
        temperature: softens both.

    Returns:
        [N], at most 1.
    """
    student, teacher = softened(student_logits, temperature), softened(teacher_logits, temperature)
    return (student.exp() - teacher.exp()).abs().sum(dim=-1) / 2


def mean_squared_error(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the mean over the vocabulary of the squared differences of the logits.

    Ba and Caruana 2014 (arXiv 1312.6184), section 2.2. With a mean, not a sum, it is on the scale of the others: at
    high temperature the squared temperature times forward KL tends to half of it, if logits have mean 0 (Hinton et al.
    2015, section 2.1). Tokens that the teacher rules out with -inf don't count.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V].

    Returns:
        [N].
    """
    teacher = teacher_logits.float()
    apart = torch.where(teacher.isfinite(), student_logits.float() - teacher, 0.0)
    return apart.square().mean(dim=-1)


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


def agreement(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 for each target where student [N, V] and teacher have the same most probable token, otherwise 0.

    `teacher` [N] is the teacher's most probable token of each.
    """
    # amax is faster than argmax, which PyTorch does not vectorize on a CPU
    return (logits.gather(-1, teacher[:, None])[:, 0] >= logits.amax(-1)).float()


def softened(logits: Tensor, temperature: float) -> Tensor:
    """Return log-probabilities in float32 at `temperature`."""
    logits = logits.float()
    return torch.log_softmax(logits if temperature == 1 else logits / temperature, dim=-1)


def gathered_log_softmax(logits: Tensor, ids: Tensor) -> Tensor:
    """Return the log-probabilities [N, K] of `ids`, without an [N, V] array of all of them."""
    # log softmax(z)_i = z_i - logsumexp(z)
    return logits.gather(-1, ids.long()) - logits.logsumexp(dim=-1, keepdim=True)


def nonnegative(divergence: Tensor) -> Tensor:
    """Return a divergence whose values that rounding took below 0 are 0; the gradient stays."""
    # what is added is a constant for the gradient, which clamp alone would set to 0 below 0
    return divergence + (divergence.detach().clamp(min=0) - divergence.detach())


def _bounded(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return both models' log-probabilities, at least LOWEST, so that a mixture has a finite logarithm."""
    student, teacher = softened(student_logits, temperature), softened(teacher_logits, temperature)
    return student.clamp(min=LOWEST), teacher.clamp(min=LOWEST)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """Return KL [N] from log-probabilities [N, V], where 0 log 0 = 0."""
    weight = p.exp()
    # selected before it is multiplied: 0 * inf would be NaN, in the gradient even if not in the value
    return (weight * torch.where(weight > 0, p - q, 0.0)).sum(dim=-1)


def _log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - exp(x)) for x < 0 without cancellation (Maechler 2012, equation 7)."""
    # each branch gets an argument at which it is finite: an infinite gradient of the unused one times 0 would be NaN
    # switches at -log 2, where both forms lose the least
    near, far = x.clamp(min=-0.6931472), x.clamp(max=-0.6931472)
    return torch.where(x > -0.6931472, torch.log(-torch.expm1(near)), torch.log1p(-torch.exp(far)))
