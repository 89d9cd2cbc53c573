"""AWQ: activation-aware scaling of weights before rounding (Lin et al. 2023, arXiv 2306.00978).

Of s = s_X^alpha, where s_X is the mean magnitude of each input feature, the alpha is searched that leaves the least
error in the layers' outputs (section 3.2); alpha 0 is plain rounding, so that the error is never
above it. Then groups are cut off where that helps, as the authors' code does (`clipping`).

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from potstill.compression.block_parts import Fold
from potstill.compression.layerwise import Block, quantizable
from potstill.compression.quantization import clipping, rounding
from potstill.compression.quantization.gptq import Hessian, best_by_row, layer_error, relative_error
from potstill.compression.quantization.rounding import Quantized
from potstill.compression.quantization.scale_folding import in_block, into_norm
from potstill.compression.slabs import slabs

STEPS = 20
"""Values of alpha that are tried from 0 to below 1; the paper's grid."""
SMALLEST = 1e-4
"""Least scale, so that a feature that is never active has one."""


class Inputs(Hessian):
    """What AWQ keeps of a layer's inputs: mean magnitudes, and the Hessian, which gives every candidate's error."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        super().__init__(width, device)
        self.magnitudes = torch.zeros(width, dtype=torch.float32, device=device)

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        super().add(inputs)
        self.magnitudes += inputs.float().abs().sum(0)

    def mean_magnitude(self) -> Tensor:
        """Return s_X [I]."""
        return self.magnitudes / max(self.tokens, 1)


def candidate(magnitude: Tensor, alpha: float) -> Tensor:
    """Return s [I] for one `alpha`, its geometric middle at 1 so that the weights keep their order of magnitude."""
    scale = magnitude.clamp_min(SMALLEST) ** alpha
    # as in the authors' code; any constant factor gives the same function
    return scale / (scale.max() * scale.min()).sqrt()


def search(weights: Sequence[Tensor], inputs: Inputs, rounded: Callable[[Tensor], Quantized]) -> tuple[Tensor, float]:
    """Return the best s [I] for the `weights` [O, I] that share `inputs`, and its alpha.

    The error is that of the outputs, d H dᵀ summed over the rows of d = Q(W s) / s - W, so that no token is run again.

    Args:
        weights: all layers that read these inputs; they get one s, since they share what it is folded into.
        inputs: what was recorded of them.
        rounded: rounds a weight.
    """
    hessian, magnitude = inputs.mean(), inputs.mean_magnitude()
    best, best_alpha, least = torch.ones_like(magnitude), 0.0, float("inf")
    for number in range(STEPS):
        alpha = number / STEPS
        scale = candidate(magnitude, alpha)
        errors = (
            layer_error(part, rounded(part.float() * scale).dequantize().float() / scale, hessian).sum()
            for weight in weights
            for part in (weight[rows] for rows in slabs(weight))
        )
        error = float(sum(errors))
        if error < least:
            best, best_alpha, least = scale, alpha, error
    return best, best_alpha


@torch.no_grad()
def quantize_block(
    block: Block,
    folds: Sequence[Fold],
    bits: int,
    group_size: int,
    scale_type: torch.dtype = torch.float32,
    symmetric: bool = True,
    norm_offset: float = 0.0,
    ratios: dict[str, float] | None = None,
) -> dict[str, Quantized]:
    """Scale and quantize the linear layers of `block` in place; return the integers by path.

    Args:
        block: with its inputs.
        folds: where inputs can be scaled; other layers are only cut off and rounded.
        bits: of a value.
        group_size: input features that share a scale.
        scale_type: type that the scales are stored in.
        symmetric: whether 0 is the integer 0; otherwise every group has a zero point.
        norm_offset: what norms add to their weights (`Architecture.norm_offset`).
        ratios: gets, by path, the error of the outputs as a share of rounding's.
    """
    how = (bits, group_size, scale_type, symmetric)
    inputs = block.record(lambda layer: Inputs(layer.in_features, layer.weight.device))
    weights = {path: layer.weight.detach().float() for path, layer in block.layers.items()}
    rounded = {
        path: relative_error(weight, rounding.quantize(weight, *how), inputs[path].mean())
        for path, weight in (weights.items() if ratios is not None else ())
        # an expert that no token was sent to has no outputs to compare
        if inputs[path].tokens
    }
    # all scales are searched before any is applied: folding one changes weights that a later search reads
    searched = []
    for fold in in_block(folds, block.module):
        readers = [f"{block.name}.{reader}" for reader in fold.readers]
        read = [weights[reader] for reader in readers]
        scale, _ = search(read, inputs[readers[0]], lambda weight: rounding.quantize(weight, *how))
        searched.append((fold, readers, scale))
    divisors: dict[str, Tensor] = {}
    for fold, readers, scale in searched:
        source = block.module.get_submodule(fold.source)
        divisor = _divide(source, f"{block.name}.{fold.source}", scale, weights, norm_offset)
        for reader in readers:
            weights[reader] = weights[reader] * divisor
            divisors[reader] = divisor
    quantized = {}
    for path, layer in quantizable(block.layers).items():
        scale = divisors.get(path, weights[path].new_ones(layer.in_features))
        # the inputs were recorded before scaling; x / s has the Hessian H_ij / (s_i s_j)
        # what no later layer of the block shares is freed
        hessian = inputs.pop(path).mean() / scale[:, None]
        hessian /= scale
        candidates = [rounding.quantize(weights[path], *how), clipping.quantize(weights[path], hessian, *how)]
        # rows are independent, so each may be clipped or not
        quantized[path] = best_by_row(weights[path], candidates, hessian)
        if ratios is not None and path in rounded:
            ratios[path] = relative_error(weights[path], quantized[path], hessian) / max(rounded[path], 1e-12)
        layer.weight.copy_(quantized[path].dequantize())
        del weights[path]
    return quantized


def _divide(source: nn.Module, path: str, scale: Tensor, weights: dict[str, Tensor], norm_offset: float) -> Tensor:
    """Divide the outputs of a `source`, whose weight at `path` may be in `weights`; return the true divisors."""
    if not isinstance(source, nn.Linear):
        return into_norm(source, scale, norm_offset)
    weights[path] = weights[path] / scale[:, None]
    if source.bias is not None:
        source.bias.copy_(source.bias.float() / scale)
    return scale
