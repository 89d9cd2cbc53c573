"""How far two models agree on the same text: their next-token distributions, and their answers.

Shapes: T tokens of a text, K kept entries a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 1e-12
"""Probability whose logarithm is not taken."""
ROUNDING = 2.0**-10
"""What probabilities may be off together where their logarithms were kept as float16."""


@dataclass(frozen=True)
class TokenAgreement:
    """What two models say of the tokens of one text."""

    kl: NDArray[np.float64]
    """[T] KL divergence from the teacher to the student, in nats, of the distribution over the entries that both kept
    and the rest: never more than the whole divergence, and equal to it where both kept all."""
    top1: NDArray[np.bool_]
    """[T] Whether the most probable token is the same."""
    mass: NDArray[np.float64]
    """[T] Probability of the teacher that the shared entries hold."""


def token_agreement(
    teacher_ids: NDArray[np.integer[Any]],
    teacher_logprobs: NDArray[np.floating[Any]],
    student_ids: NDArray[np.integer[Any]],
    student_logprobs: NDArray[np.floating[Any]],
) -> TokenAgreement:
    """Compare the most probable tokens [T, K] of two models and their log-probabilities, position by position.

    That merging outcomes never raises a divergence is the data-processing inequality: T. M. Cover and J. A. Thomas,
    "Elements of information theory", 2nd edition 2006, theorem 2.7.1.

    Raises:
        ValueError: both have not as many positions.

    >>> import numpy as np
    >>> ids, logprobs = np.array([[3, 5]]), np.log([[0.75, 0.25]])
    >>> both = token_agreement(ids, logprobs, ids[:, ::-1], logprobs)
    >>> round(float(both.kl[0]), 4), bool(both.top1[0])
    (0.5493, False)
    """
    import numpy as np

    if len(teacher_ids) != len(student_ids):
        raise ValueError(f"{len(teacher_ids)} positions of the teacher and {len(student_ids)} of the student")
    kl, mass = np.zeros(len(teacher_ids)), np.zeros(len(teacher_ids))
    for place in range(len(teacher_ids)):
        _, own, other = np.intersect1d(teacher_ids[place], student_ids[place], return_indices=True)
        p = np.exp(teacher_logprobs[place][own].astype(float))
        q = np.exp(student_logprobs[place][other].astype(float))
        rest_p, rest_q = max(0.0, 1.0 - p.sum()), max(0.0, 1.0 - q.sum())
        terms = float((p * (np.log(np.maximum(p, LEAST)) - np.log(np.maximum(q, LEAST)))).sum())
        # a rest that rounding alone may have left is none: its logarithm would be anything
        terms += rest_p * float(np.log(rest_p / max(rest_q, ROUNDING))) if rest_p > ROUNDING else 0.0
        kl[place], mass[place] = max(0.0, terms), p.sum()
    return TokenAgreement(kl, teacher_ids[:, 0] == student_ids[:, 0], mass)


def same_tokens(first: Sequence[object], second: Sequence[object]) -> float:
    """Return the share of places at which two sequences have the same token, of those of the longer one.

    >>> same_tokens("abcd", "abxde"), same_tokens("", "")
    (0.6, 1.0)
    """
    longest = max(len(first), len(second))
    return sum(a == b for a, b in zip(first, second, strict=False)) / longest if longest else 1.0
