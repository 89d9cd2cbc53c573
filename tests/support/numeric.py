"""Comparing what two models compute: closely, never by bits, where the arithmetic is not the very same operation.

A product is the same to the last bit only where the same kernel runs on the same shapes at the same alignment. A matrix
with rows cut off, a batch of another size, or weights that are mapped from another place of a file are summed in an
order that each maker's kernels choose. Weights that are copied, integers and files can be compared by bits.
"""

from __future__ import annotations

import torch

ROUNDING = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 5e-2}
"""How far, as a share of the largest output, a small model's outputs may differ by the order of their sums."""


def assert_same_outputs(ours: torch.Tensor, theirs: torch.Tensor, computed_in: torch.dtype | None = None) -> None:
    """Fail unless two outputs [...] differ by no more than the rounding of the type that they were computed in."""
    share = ROUNDING[computed_in or ours.dtype]
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=share, atol=share * float(theirs.abs().max()))
