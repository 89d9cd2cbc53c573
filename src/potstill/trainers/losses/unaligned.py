"""A loss between models whose vocabularies differ.

Shapes: N target tokens, V student's and V' teacher's vocabulary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from potstill.trainers.losses.token_losses import softened


def uld(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return the sum of the differences between both models' probabilities, each sorted from the largest.

    The universal logit distillation loss of Boizard et al. 2024 (arXiv 2402.12030): the Wasserstein distance between
    two distributions whose tokens are all equally far apart, so that it doesn't matter which token is which. The
    smaller vocabulary is filled up with tokens of probability 0. Like the paper's, it takes the n-th token of one
    tokenization for the n-th of the other, wherever in the text they are.

    Args:
        student_logits: [N, V].
        teacher_logits: [N, V'].
        temperature: softens both.

    Returns:
        [N], from 0 to 2.
    """
    student, teacher = (
        softened(logits, temperature).exp().sort(dim=-1, descending=True).values
        for logits in (student_logits, teacher_logits)
    )
    # sum |p_(i) - q_(i)| over the ranks i: the optimal transport when all tokens are equally far apart
    missing = teacher.shape[-1] - student.shape[-1]
    student, teacher = pad(student, (0, max(missing, 0))), pad(teacher, (0, max(-missing, 0)))
    return (student - teacher).abs().sum(dim=-1)
