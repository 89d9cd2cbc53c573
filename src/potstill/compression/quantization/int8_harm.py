"""What 8 bits do to what a model puts out, layer by layer and for several scales of the inputs, in one backward pass.

To second order, as `curvature` says: a layer's harm is half the mean square of g' d, with g the slope of a drawn
prediction and d what rounding changes of the layer's outputs. Of 8 bits nearly all of d comes from the inputs, each
token rounded by itself, so that what is done to one token knows nothing of the others: g' d is squared token by token
and not once per text, which gives a sample for each token and needs few texts.

Shapes: B texts, T tokens of a text, I input and O output features of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from potstill.compression.block_backward import one_block_held
from potstill.compression.quantization import rounding
from potstill.compression.quantization.curvature import drawn, listening, repeated

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

DRAWS = 2
"""Predictions drawn for each text and position."""


def harms(
    model: PretrainedModel,
    layers: Mapping[str, nn.Linear],
    scales: Mapping[str, Sequence[Tensor | None]],
    texts: Sequence[tuple[Tensor, int]],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Return, by path, the KL divergence a prediction when that layer alone has 8 bits, at each of its scales.

    Args:
        model: in 16 or 32 bits; it is left so.
        layers: of the model, by path.
        scales: by path, what the inputs are divided and the weights multiplied by [I] before both are rounded; `None`
            is 1.
        texts: token ids [T], and how many of them are the prompt's.
        seed: of the predictions that are drawn.
        progress: called with the number of texts done.
    """
    squares = {path: torch.zeros(len(own), dtype=torch.float64) for path, own in scales.items()}
    generator, count, done = torch.Generator(model.device).manual_seed(seed), 0, 0

    def add(path: str, inputs: Tensor, gradient: Tensor) -> None:
        squares[path] += squared_slopes(layers[path].weight.data, inputs, gradient, scales[path])

    model.eval()
    for batch in repeated(texts, DRAWS):
        with one_block_held(model), listening(layers, add), torch.enable_grad():
            scores = drawn(model, batch, generator)
            scores.sum().backward()  # type: ignore[no-untyped-call] # torch
        count, done = count + len(scores), done + len(batch.ids) // DRAWS
        progress(done)
    return {path: (own / (2 * max(count, 1))).tolist() for path, own in squares.items()}


def squared_slopes(weight: Tensor, inputs: Tensor, gradient: Tensor, scales: Sequence[Tensor | None]) -> Tensor:
    """Return, for each of the `scales`, the sum over tokens of (g' d)^2, in float64.

    Args:
        weight: [O, I].
        inputs: [B, T, I], `DRAWS` times the same texts; or [N, I], tokens in any order.
        gradient: of the outputs, [B, T, O] or [N, O].
        scales: what the inputs are divided by.
    """
    # the repetitions have the same inputs, so that one of them is enough; experts get their tokens in another order
    once = inputs[: len(inputs) // DRAWS] if inputs.dim() == 3 else inputs
    plain, exact = once.float(), weight.float()
    outputs = functional.linear(plain, exact)
    slopes = gradient.float().reshape(-1, *outputs.shape)
    sums = []
    for scale in scales:
        divided, multiplied = (plain, exact) if scale is None else (plain / scale, exact * scale)
        rounded = rounding.quantize(multiplied, 8).dequantize()
        change = functional.linear(rounding.fake_quantize_tokens(divided), rounded) - outputs
        sums.append((slopes * change).sum(-1).double().square().sum())
    return torch.stack(sums).cpu()
