"""Sensitivity of a model to rounding each part, and the storage that it saves: the table for mixed precision.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from potstill.compression.agreement import compared, outputs
from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.layerwise import linear_layers, quantizable
from potstill.compression.quantization import rounding
from potstill.compression.quantization.activations import quantized_activations
from potstill.compression.quantization.bit_allocation import Choice
from potstill.compression.quantization.rounding import Quantized

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

GROUP = 32
"""Input features that share a scale at 4 bits."""
SCALE_BITS = 16
"""Bits that a scale takes."""


def fused_units(model: PretrainedModel) -> list[list[str]]:
    """Return the linear layers of the blocks by path, those together that a server runs as one."""
    architecture = architecture_of(model)
    path, modules = blocks_of(model)
    if architecture.has_experts:
        # a server runs the experts of a block as one kernel, and some fuse other layers than llama's
        layers = [quantizable(linear_layers(module, f"{path}.{number}")) for number, module in enumerate(modules)]
        halves = [[[name for name in own if (".mlp." in name) is fed] for fed in (False, True)] for own in layers]
        return [half for both in halves for half in both]
    groups = (architecture.queries, (architecture.attended,), architecture.units, (architecture.down,))
    return [[f"{path}.{number}.{name}" for name in group] for number in range(len(modules)) for group in groups]


def storage(shape: Sequence[int], bits: int) -> int:
    """Return the bits that a weight of a `shape` (O, I) takes, scales included: groups at 4, rows at 8, none at 16."""
    rows, width = shape
    scales = {4: width // GROUP, 8: 1, 16: 0}[bits]
    return rows * (width * bits + scales * SCALE_BITS)


def rounded_to(weight: Tensor, bits: int) -> Quantized:
    """Round a `weight` [O, I] to nearest in 4 bits by groups or in 8 by rows."""
    return rounding.quantize(weight, bits, GROUP if bits == 4 else None, weight.dtype)


def table(
    parts: Sequence[Mapping[str, nn.Linear]], bits: Sequence[int], harms: Sequence[Sequence[float]]
) -> list[list[Choice]]:
    """Return what each part costs and harms at each of `bits`."""
    return [
        [
            Choice(sum(storage(layer.weight.shape, number) for layer in part.values()), harm)
            for number, harm in zip(bits, row, strict=True)
        ]
        for part, row in zip(parts, harms, strict=True)
    ]


def divergences(
    model: PretrainedModel,
    layers: Mapping[str, nn.Linear],
    bits: Sequence[int],
    texts: Sequence[tuple[Tensor, int]],
    before: Sequence[Tensor],
) -> list[float]:
    """Return, for each of `bits`, the KL divergence when the `layers` alone are rounded, by trying it out.

    Args:
        model: as it was before; it is left so.
        layers: of the model, by path.
        bits: 4, 8 (with activations) or 16, which changes nothing.
        texts: token ids, and how many of them are the prompt's.
        before: the model's `agreement.outputs` on the texts.
    """
    harms = []
    for number in bits:
        harm = 0.0
        if number < 16:
            with rounded_alone(layers, number):
                harm = compared(model, before, outputs(model, texts))["kl"]
        harms.append(harm)
    return harms


@contextmanager
def rounded_alone(layers: Mapping[str, nn.Linear], bits: int) -> Iterator[None]:
    """Round `layers` while the context is open, and at 8 bits their inputs too, as they are served."""
    originals = {path: layer.weight.data.clone() for path, layer in layers.items()}
    try:
        for layer in layers.values():
            layer.weight.data.copy_(rounded_to(layer.weight.data, bits).dequantize())
        with quantized_activations(list(layers.values()) if bits == 8 else []):
            yield
    finally:
        for path, layer in layers.items():
            layer.weight.data.copy_(originals[path])
