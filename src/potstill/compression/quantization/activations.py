"""Fake quantization of activations, as a quantized model's kernels round them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from potstill.compression.quantization import fp8, rounding


@contextmanager
def quantized_activations(
    layers: Sequence[nn.Module], rounded: Callable[[Tensor], Tensor] = rounding.fake_quantize_tokens
) -> Iterator[None]:
    """Round the inputs of `layers` while the context is open: by default to int8 per token, as W8A8 kernels do."""
    handles = [round_inputs(layer, rounded) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def as_served(model: nn.Module, kinds: Mapping[str, str]) -> Iterator[None]:
    """Round the inputs of those layers of `model` that are served with 8-bit ones, while the context is open.

    `kinds` says of each, by path, whether those are `int` or `float`.
    """
    floats = [model.get_submodule(path) for path, kind in kinds.items() if kind == "float"]
    integers = [model.get_submodule(path) for path, kind in kinds.items() if kind == "int"]
    with quantized_activations(integers), quantized_activations(floats, fp8.fake_quantize_tokens):
        yield


def round_inputs(layer: nn.Module, rounded: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """Round the inputs of `layer` from now on; return what ends it."""

    def take(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (rounded(args[0]), *args[1:])

    return layer.register_forward_pre_hook(take)
