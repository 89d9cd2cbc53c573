"""Second-order sensitivity of a model to rounding its parts: all parts in one backward pass per text.

For a small change of the weights the divergence of what a model puts out is half the square of that change in the
metric of its Fisher information: KL = 1/2 d' F d, with F the mean of g g' over predictions drawn from the model itself
(Martens 2020, arXiv 1412.1193, section 5; drawn, not given by the data: Kunstner et al. 2019, arXiv 1905.12558). So a
part's harm is half the mean square of g' d, and g' d is, layer by layer, the slope of the drawn predictions' log
probability along what rounding changes of the layer's outputs: no product of one part with another is taken, and no
gradient of a weight is held. The scores of several predictions of a text are independent, so their sum serves.

Shapes: B texts, T tokens of a text, N predictions, V tokens or classes, I input and O output features of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from potstill.compression.agreement import logits_or_vectors
from potstill.compression.architecture import architecture_of
from potstill.compression.block_backward import one_block_held
from potstill.compression.loss import Batch, batches_of, predictions
from potstill.compression.quantization import rounding
from potstill.compression.quantization.sensitivity import rounded_to

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

DRAWS = 4
"""Predictions drawn for each text and position: the texts' inputs are the same for all, so they cost no more texts."""
AT_ONCE = 2
"""Texts run at once, each `DRAWS` times."""


def divergences(
    model: PretrainedModel,
    parts: Sequence[Mapping[str, nn.Linear]],
    bits: Sequence[int],
    texts: Sequence[tuple[Tensor, int]],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """Return, for each part and each of `bits`, the KL divergence a prediction when that part alone is rounded.

    Args:
        model: as it was before; it is left so.
        parts: layers of the model by path; those of one part are rounded together, and each layer is in one part.
        bits: 4, 8 (with activations) or 16, which changes nothing.
        texts: token ids [T], and how many of them are the prompt's.
        seed: of the predictions that are drawn.
        progress: called with the number of texts done.
    """
    layers = {path: layer for part in parts for path, layer in part.items()}
    part_of = {path: number for number, part in enumerate(parts) for path in part}
    total = torch.zeros(len(parts), len(bits), dtype=torch.float64)
    generator, count, done = torch.Generator(model.device).manual_seed(seed), 0, 0
    model.eval()
    for batch in repeated(texts):
        slopes = torch.zeros(len(parts), len(bits), len(batch.ids))

        def add(path: str, inputs: Tensor, gradient: Tensor, to: Tensor = slopes) -> None:
            """Add the slope of each text [B] along what rounding the layer changes."""
            for number, width in enumerate(bits):
                if width < 16:
                    # recomputed here, inside the backward pass, and not stored: one layer's change is in memory at a
                    # time
                    change = output_change(layers[path].weight.data, inputs, width)
                    # by text: OPT's feed-forward has the tokens of all texts as one list
                    to[part_of[path], number] += (gradient.float() * change).reshape(to.shape[2], -1).sum(1).cpu()

        with one_block_held(model), listening(layers, add), torch.enable_grad():
            scores = drawn(model, batch, generator)
            scores.sum().backward()  # type: ignore[no-untyped-call] # torch
        # squared per text, after the sum over its tokens: the scores of a text's predictions are independent with mean
        # 0
        total += slopes.double().square().sum(2)
        count, done = count + len(scores), done + len(batch.ids) // DRAWS
        progress(done)
    harms: list[list[float]] = (total / (2 * max(count, 1))).tolist()
    return harms


def output_change(weight: Tensor, inputs: Tensor, bits: int) -> Tensor:
    """Return what the outputs [..., O] change by when `weight` [O, I] is rounded, and at 8 bits `inputs` [..., I] too.

    In float32: in 16 bits the difference of two outputs is little more than their rounding.
    """
    plain, exact = inputs.float(), weight.float()
    rounded = rounded_to(weight, bits).dequantize().float()
    if bits != 8:
        return functional.linear(plain, rounded - exact)
    return functional.linear(rounding.fake_quantize_tokens(plain), rounded) - functional.linear(plain, exact)


def repeated(texts: Sequence[tuple[Tensor, int]], draws: int = DRAWS) -> Iterator[Batch]:
    """Yield a few texts of one length at a time, all of them `draws` times, one repetition behind the other."""
    for batch in batches_of(texts):
        for ids, prompts in zip(torch.split(batch.ids, AT_ONCE), torch.split(batch.prompts, AT_ONCE), strict=True):
            yield Batch(ids.repeat(draws, 1), prompts.repeat(draws))


def drawn(model: PretrainedModel, batch: Batch, generator: torch.Generator) -> Tensor:
    """Return the log probabilities [N] of predictions that are drawn from the model's own."""

    def score(logits: Tensor, _: Tensor) -> Tensor:
        log_probabilities = logits.float().log_softmax(-1)
        tokens = torch.multinomial(log_probabilities.detach().exp(), 1, generator=generator)
        return log_probabilities.gather(-1, tokens)[:, 0]

    if not architecture_of(model).is_encoder:
        return predictions(model, batch, score)[0]
    return score(logits_or_vectors(model(input_ids=batch.ids.to(model.device))), batch.prompts)


@contextmanager
def listening(layers: Mapping[str, nn.Linear], add: Callable[[str, Tensor, Tensor], None]) -> Iterator[None]:
    """Call `add(path, inputs, gradient of the outputs)` for each layer, in the backward pass."""

    def listener(path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(_: nn.Module, args: tuple[Tensor, ...], outputs: Tensor) -> None:
            # the forward pass of a checkpointed block has no graph; the hook is set when the block is recomputed
            if not outputs.requires_grad:
                return
            inputs = args[0].detach()
            outputs.register_hook(lambda gradient: add(path, inputs, gradient))  # type: ignore[no-untyped-call] # torch

        return listen

    with ExitStack() as stack:
        for path, layer in layers.items():
            stack.callback(layer.register_forward_hook(listener(path)).remove)
        yield
