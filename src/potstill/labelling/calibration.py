"""Probabilities of labels from the log-probabilities of their texts, and their calibration with content-free input.

Shapes: C labels, F content-free inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

Length = Literal["sum", "mean"]


def text_score(token_logprobs: Sequence[float], length: Length) -> float:
    """Return the score of a text from its tokens' log-probabilities.

    `sum` is the log-probability of the whole text, right for exclusive answers. `mean` divides by the number of tokens
    (Brown et al. 2020, arXiv 2005.14165, section 2.4), which keeps long labels from losing for their length.

    >>> text_score([-1.0, -3.0], "sum"), text_score([-1.0, -3.0], "mean")
    (-4.0, -2.0)
    """
    total = math.fsum(token_logprobs)
    return total if length == "sum" else total / max(1, len(token_logprobs))


def probabilities(scores: Sequence[float]) -> list[float]:
    """Return the softmax [C] of the labels' scores: the teacher's distribution over these labels only."""
    highest = max(scores)
    # less the highest, so that exp neither overflows nor underflows for all of them
    weights = [math.exp(score - highest) for score in scores]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def calibrated(scores: Sequence[float], content_free: Sequence[Sequence[float]]) -> list[float]:
    """Return the probabilities [C] without the teacher's prior preference for some labels.

    Zhao et al. 2021 (arXiv 2102.09690), section 5: multiply by W = diag(p_cf)^-1, where p_cf is the mean of the
    probabilities [F, C] for inputs without content. The result is made to add up to 1 again, so that a confidence can
    be read from it (the paper only looks for the largest).

    >>> calibrated([0.8, 0.2], [[0.8, 0.2]])
    [0.5, 0.5]
    """
    bias = [math.fsum(column) / len(content_free) for column in zip(*content_free, strict=True)]
    # a label of probability 0 on content-free input would divide by zero
    weights = [share / max(usual, 1e-12) for share, usual in zip(scores, bias, strict=True)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def calibrate_members(
    by_member: Mapping[int, list[float]], biases: Sequence[list[list[float]]]
) -> dict[int, list[float]]:
    """Return the probabilities of the members that chose, calibrated by their `biases`, where they have some."""
    chose = {member: shares for member, shares in by_member.items() if shares}
    return {member: calibrated(own, biases[member]) if biases[member] else own for member, own in chose.items()}


def average(members: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean [C] of several members' probabilities (linear opinion pool, Stone 1961)."""
    return [math.fsum(column) / len(members) for column in zip(*members, strict=True)]
