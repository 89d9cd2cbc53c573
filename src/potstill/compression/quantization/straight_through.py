"""Straight-through estimation: the forward pass uses the rounded weight, the gradient goes to the real one.

The straight-through estimator (Bengio et al. 2013) of binarized networks (Courbariaux et al. 2016), with the weights of
BitNet b1.58 and XNOR-Net, and those of ordinary integer quantization.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch.autograd.function import BackwardCFunction, FunctionCtx

from potstill.compression.quantization import rounding
from potstill.compression.quantization.rounding import Quantized

Quantize = Callable[[Tensor], Quantized]
"""Returns a weight [O, I] as small integers."""


def straight_through(real: Tensor, rounded: Tensor, limit: float | None = None) -> Tensor:
    """Return `rounded` exactly; its gradient goes to `real`, except where that is beyond +-`limit`.

    The limit is the clipping of Courbariaux et al. 2016 ("Binarized Neural Networks"), equation 4, where it is 1.
    """
    output: Tensor = _StraightThrough.apply(real, rounded, limit)  # type: ignore[no-untyped-call] # torch's own
    return output


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, real: Tensor, rounded: Tensor, limit: float | None) -> Tensor:
        # real + (rounded - real) would be off by a rounding error: not the weight that is written
        ctx.save_for_backward(*(() if limit is None else (real.abs() <= limit,)))
        # a copy: autograd treats an input that `forward` returns itself as a view of it
        return rounded.to(real.dtype, copy=True)

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> tuple[Tensor, None, None]:
        for passed in ctx.saved_tensors:
            gradient = gradient * passed
        return gradient, None, None


def ternary(weight: Tensor, scale_type: torch.dtype = torch.bfloat16) -> Quantized:
    """Return `weight` [O, I] as -1, 0 and 1 times one scale, its mean absolute value.

    Ma et al. 2024 ("The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits"), section 2, equations 1 to 3.
    """
    # [1, 1], the shape of one group over all rows
    scale = _scale(weight.float().abs().mean().reshape(1, 1), scale_type)
    values = torch.round(weight.float() / scale.float()).clamp_(-1, 1)
    return Quantized(values.to(torch.int8), scale, 2)


def binary(weight: Tensor, scale_type: torch.dtype = torch.bfloat16) -> Quantized:
    """Return `weight` [O, I] as -1 and 1 times a scale per output row, the mean absolute value of the row.

    The sign is that of Courbariaux et al. 2016, equation 1 (0 counts as positive); the scale is the one that leaves the
    least squared error: Rastegari et al. 2016 ("XNOR-Net"), section 3.1, equation 6.
    """
    scale = _scale(weight.float().abs().mean(dim=1, keepdim=True), scale_type)
    return Quantized(torch.where(weight >= 0, 1, -1).to(torch.int8), scale, 1)


def _scale(mean: Tensor, scale_type: torch.dtype) -> Tensor:
    """Return a mean of absolute values as a scale; it is rounded first, so that training sees what is stored."""
    scale = mean.to(scale_type)
    return torch.where(scale == 0, torch.ones_like(scale), scale)


@dataclass(frozen=True)
class FakeQuantization:
    """Linear layers that compute with rounded weights, and inputs if wanted, while the real weights learn."""

    quantize: Quantize
    """Makes a weight small integers."""
    activation_bits: int | None = None
    """Bits of the inputs, each token with its own scale; None leaves them as they are."""
    limit: float | None = None
    """Real weights beyond it get no gradient."""

    def weight(self, real: Tensor) -> Tensor:
        """Return the weight [O, I] that a layer computes with."""
        with torch.no_grad():
            rounded = self.quantize(real).dequantize()
        return straight_through(real, rounded, self.limit)

    def inputs(self, inputs: Tensor) -> Tensor:
        """Return the inputs [..., I] that a layer computes with."""
        if self.activation_bits is None:
            return inputs
        with torch.no_grad():
            rounded = rounding.fake_quantize_tokens(inputs, self.activation_bits)
        return straight_through(inputs, rounded)

    def begin(self, layers: Iterable[nn.Linear], real: Mapping[nn.Linear, Tensor] | None = None) -> None:
        """Let `layers` compute in this way from now on.

        `real` weights may be other tensors than the layers' own, such as float32 ones of a bfloat16 model.
        """
        for layer in layers:
            # an attribute hides the class's own forward; names in the state dict stay what they are
            layer.__dict__["forward"] = self._forward(layer, None if real is None else real[layer])

    def _forward(self, layer: nn.Linear, real: Tensor | None) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            weight = self.weight(layer.weight if real is None else real)
            return functional.linear(self.inputs(inputs), weight.to(inputs.dtype), layer.bias)

        return forward


def restore(layers: Iterable[nn.Linear]) -> None:
    """Let `layers` compute with their own weights again."""
    for layer in layers:
        layer.__dict__.pop("forward", None)


@torch.no_grad()
def settle(layers: Mapping[str, nn.Linear], quantize: Quantize) -> dict[str, Quantized]:
    """Put into `layers` (by path) the weights that they computed with; return these as integers by path."""
    quantized = {path: quantize(layer.weight) for path, layer in layers.items()}
    for path, layer in layers.items():
        layer.weight.copy_(quantized[path].dequantize())
    restore(layers.values())
    return quantized
