"""Which layers stay in 16 bits because 8-bit inputs cost them most, each tried alone.

LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339) keeps outlier features in 16 bits; whole layers are what formats for
servers can hold. In decoders it is a few projections of the feed-forward layers, through which single tokens get
activations a thousand times the others (Sun et al. 2024, "Massive activations", arXiv 2402.17762).

Shapes: T tokens, H hidden features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from potstill.compression.agreement import compared, outputs
from potstill.compression.architecture import blocks_of
from potstill.compression.layerwise import linear_layers
from potstill.compression.quantization.activations import quantized_activations
from potstill.compression.quantization.rounding import Quantized

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

Texts = Sequence[tuple[Tensor, int]]
"""Token ids [T], and how many of them are the prompt's."""
ENOUGH = 5e-4
"""Sum of KL divergences (nats a prediction) below which no further layer is left in 16 bits: a rise of the perplexity
by 0.05 %."""


def harms(
    model: PretrainedModel,
    quantized: Mapping[str, Quantized],
    texts: Texts,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Return, by path, the KL divergence a prediction when that layer alone has 8 bits, weights and inputs.

    A trial starts at the layer's block, with what the blocks before made of the texts, so that half the work is saved.

    Args:
        model: in 16 bits; it is left so.
        quantized: the layers to try, by path.
        texts: to compare the predictions on.
        progress: called with the number of blocks that are done, and that of all.
    """
    path, modules = blocks_of(model)
    states: list[list[Tensor]] = [[] for _ in modules]
    with _recorded(modules, states):
        exact = outputs(model, texts)
    measured: dict[str, float] = {}
    for number, module in enumerate(modules):
        layers = linear_layers(module, f"{path}.{number}")
        for name in layers.keys() & quantized.keys():
            with _starting_at(modules, number, states[number]), _in_8_bits(layers[name], quantized[name]):
                measured[name] = compared(model, exact, outputs(model, texts))["kl"]
        # what the block was given is not needed again
        states[number] = []
        progress(number + 1, len(modules))
    return measured


def left_wide(harm: Mapping[str, float], weights: Mapping[str, int], budget: int, enough: float = ENOUGH) -> list[str]:
    """Return the layers to leave in 16 bits, the most harmed first: until the rest do no harm, or `budget` is spent.

    Args:
        harm: of each layer, by path.
        weights: of each layer.
        budget: weights that may stay in 16 bits.
        enough: sum of harms that may be left.

    >>> left_wide({"a": 0.5, "b": 0.2, "c": 0.1}, {"a": 9, "b": 4, "c": 4}, budget=8, enough=0)
    ['b', 'c']
    """
    wide: list[str] = []
    rest = sum(harm.values())
    for path in sorted(harm, key=lambda path: (-harm[path], path)):
        if rest <= enough:
            break
        if weights[path] <= budget:
            wide.append(path)
            budget -= weights[path]
            rest -= harm[path]
    return wide


@contextmanager
def _recorded(modules: nn.ModuleList, states: Sequence[list[Tensor]]) -> Iterator[None]:
    """Add to `states`, by block, the hidden states of each call while the context is open."""

    def recorder(to: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, args: to.append(args[0])

    pairs = zip(modules, states, strict=True)
    handles = [module.register_forward_pre_hook(recorder(own)) for module, own in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _starting_at(modules: nn.ModuleList, number: int, states: Sequence[Tensor]) -> Iterator[None]:
    """Give block `number` the `states`, one a call, and skip the blocks before it while the context is open."""
    calls = iter(states)

    def skipped(hidden: Tensor, *_: object, **__: object) -> Tensor:
        return hidden

    for module in modules[:number]:
        # an instance attribute hides the class's forward
        module.forward = skipped
    handle = modules[number].register_forward_pre_hook(lambda module, args: (next(calls), *args[1:]))
    try:
        yield
    finally:
        handle.remove()
        for module in modules[:number]:
            del module.forward


@contextmanager
def _in_8_bits(layer: nn.Linear, quantized: Quantized) -> Iterator[None]:
    """Let `layer` compute in 8 bits while the context is open."""
    original = layer.weight.data
    layer.weight.data = quantized.dequantize().to(original)
    try:
        with quantized_activations([layer]):
            yield
    finally:
        layer.weight.data = original
