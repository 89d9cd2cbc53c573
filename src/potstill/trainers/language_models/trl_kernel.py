"""trl's fused kernel of three divergences, which works on tiles of tokens by vocabulary: the one place that imports it.

It is not part of trl's documented interface, so a test imports it, and an upgrade that moves it is noticed.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.models.hidden_states import Projection


def usable(student: Projection) -> bool:
    """Return whether the kernel is installed and faster: on a CPU it takes twice as long as chunks do."""
    return student.states.is_cuda and find_spec("trl") is not None


def divergence(student: Projection, teacher: Projection, beta: float, temperature: float) -> Tensor:
    """Return the divergence [N] of softened distributions; its gradient reaches the student alone.

    Args:
        student: of N tokens.
        teacher: of the same tokens, with as many logits each.
        beta: 0 is forward KL, 1 reverse KL, between them the generalized Jensen-Shannon divergence.
        temperature: softens both.

    Returns:
        [N], at least 0.
    """
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    from potstill.trainers.losses.token_losses import nonnegative

    # positional: autograd functions take no keywords
    value, _ = ChunkedDivergenceFunction.apply(
        student.states,
        student.weight,
        student.bias,
        teacher.states,
        teacher.weight,
        teacher.bias,
        beta,
        temperature,
        student.scale,
        student.softcap,
        teacher.scale,
        teacher.softcap,
    )
    return nonnegative(value)
