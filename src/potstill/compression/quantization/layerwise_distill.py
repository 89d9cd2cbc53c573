"""Layer-by-layer distillation: a quantized block learns to reproduce its outputs (ZeroQuant, Yao et al. 2022).

Shapes: B texts, T tokens, H hidden features, O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from potstill.compression.layerwise import Block, quantizable
from potstill.compression.quantization.rounding import Quantized
from potstill.compression.quantization.straight_through import FakeQuantization, restore


@dataclass(frozen=True)
class Distilled:
    """What became of a block."""

    quantized: dict[str, Quantized]
    """Its weights by path, which are in the block too."""
    rounded_error: float
    """Mean squared difference of its outputs from those of the full-precision block, if weights are only rounded."""
    error: float
    """The same after training: never more."""


def distill_block(block: Block, fake: FakeQuantization, passes: int, learning_rate: float) -> Distilled:
    """Train the linear layers of `block` to reproduce its full-precision outputs with weights as in `fake`.

    Yao et al. 2022 ("ZeroQuant"), layer-by-layer knowledge distillation: the mean squared error of the block's outputs,
    both blocks on the same inputs, and an optimizer for this block alone. The real weights learn in float32 by Adam,
    whose rate falls linearly; zero weights stay zero. Of all passes the best is kept, the start (plain rounding) among
    them.

    Args:
        block: of `walk`; its weights are replaced by those that the integers stand for.
        fake: how weights, and inputs, are rounded.
        passes: epochs over the block's inputs.
        learning_rate: of the first step.
    """
    layers = quantizable(block.layers)
    targets = list(block.outputs())
    real = {layer: _trainable(layer.weight) for layer in layers.values()}
    fake.begin(layers.values(), real)
    try:
        first, error, weights = _train(block, targets, list(real.values()), passes, learning_rate)
    finally:
        restore(layers.values())
    quantized = {path: fake.quantize(weight) for path, weight in zip(layers, weights, strict=True)}
    with torch.no_grad():
        for path, layer in layers.items():
            layer.weight.copy_(quantized[path].dequantize())
    return Distilled(quantized, first, error)


def _trainable(weight: Tensor) -> Tensor:
    """Return a copy of `weight` in float32 that learns, except where it is zero."""
    real = weight.detach().float().clone()
    mask = real != 0
    real.requires_grad_()
    if not mask.all():
        # without it pruned weights would grow back
        real.register_hook(lambda gradient: gradient * mask)  # type: ignore[no-untyped-call] # torch's own
    return real


def _train(
    block: Block, targets: Sequence[Tensor], weights: Sequence[Tensor], passes: int, learning_rate: float
) -> tuple[float, float, list[Tensor]]:
    """Train `weights` in place; return the error at the start, the lowest error, and the weights that had it."""
    optimizer = torch.optim.Adam(weights, lr=learning_rate)
    # before any step: rounding alone is a candidate, so training never makes a block worse
    first = best = mean_error(block, targets)
    best_weights = [weight.detach().clone() for weight in weights]
    steps = passes * len(targets)
    for number in range(passes):
        for batch, target in enumerate(targets):
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - (number * len(targets) + batch) / steps)
            with torch.enable_grad():
                loss = functional.mse_loss(_output(block, batch).float(), target.float())
                # the block's other parameters take no gradient
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
        error = mean_error(block, targets)
        if error < best:
            best, best_weights = error, [weight.detach().clone() for weight in weights]
    return first, best, best_weights


@torch.no_grad()
def mean_error(block: Block, targets: Sequence[Tensor]) -> float:
    """Return the mean squared difference of the block's outputs, as it is now, from `targets` [B, T, H] per batch."""
    total = sum(
        float((_output(block, batch).float() - target.float()).square().sum()) for batch, target in enumerate(targets)
    )
    return total / max(sum(target.numel() for target in targets), 1)


def _output(block: Block, batch: int) -> Tensor:
    """Return the hidden states [B, T, H] that the block makes of one batch."""
    call, module = block.calls[batch], block.module
    assert isinstance(module, nn.Module)
    out = module(block.inputs[batch], *call.args, **call.named)
    states: Tensor = out[0] if isinstance(out, tuple) else out
    return states
