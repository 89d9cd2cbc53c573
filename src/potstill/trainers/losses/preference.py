"""The loss of a pair of answers, one of which was preferred.

Shapes: P pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dpo(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """Return -log sigmoid(beta (chosen - rejected)): the student is to prefer what was preferred.

    Rafailov et al. 2023, direct preference optimization (arXiv 2305.18290), equation 7.

    Args:
        chosen: [P] log-probability of the chosen answer, less that under the reference model.
        rejected: [P] the same of the rejected answer.
        beta: above 0; the larger, the closer the student stays to the reference model.

    Returns:
        [P], log 2 where student and reference agree.
    """
    # logsigmoid, not the log of a sigmoid, which underflows to log 0 for pairs far in the wrong order
    return -torch.nn.functional.logsigmoid(beta * (chosen.float() - rejected.float()))
