"""Losses of a student, one value a token, in float32; the caller sums and normalizes.

Pure functions. Positions that don't count, such as padding, are left out by the caller, before anything is computed of
them. Logits of output layers that were padded to different sizes are cut by the caller, who checked the vocabularies.
"""

from potstill.trainers.losses.dense import (
    cross_entropy,
    forward_kl,
    jensen_shannon,
    mean_squared_error,
    reverse_kl,
    skew_kl,
    skew_reverse_kl,
    total_variation,
)
from potstill.trainers.losses.layers import attention_match, cosine
from potstill.trainers.losses.topk import topk_tail_divergence
from potstill.trainers.losses.unaligned import uld

__all__ = [
    "attention_match",
    "cosine",
    "cross_entropy",
    "forward_kl",
    "jensen_shannon",
    "mean_squared_error",
    "reverse_kl",
    "skew_kl",
    "skew_reverse_kl",
    "topk_tail_divergence",
    "total_variation",
    "uld",
]
