"""A backward pass through a whole model that holds what one block needs, whatever the depth.

Shapes: B texts, T tokens, H hidden features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from potstill.compression.architecture import blocks_of

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


@contextmanager
def one_block_held(model: PretrainedModel) -> Iterator[None]:
    """Hold the inputs [B, T, H] of each block only, and run a block once more when the backward pass comes to it.

    Chen et al. 2016, arXiv 1604.06174. Gradients pass from the embeddings on, and none is kept for a weight; those of
    tensors that hooks bring in are, by `backward()` (not `torch.autograd.grad`, which the second runs don't know).
    """
    caches = getattr(model.config, "use_cache", False)
    if caches:  # what the first run has filled would be filled again by the second
        model.config.use_cache = False
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    blocks = blocks_of(model)[1]
    for weight in trained:
        weight.requires_grad_(False)
    # without an input that has a gradient, a block would not be run again
    handle = model.get_input_embeddings().register_forward_hook(lambda _, __, made: made.requires_grad_(True))
    for block in blocks:
        block.forward = _run_again(block.forward)
    try:
        yield
    finally:
        if caches:
            model.config.use_cache = caches
        handle.remove()
        for block in blocks:
            del block.forward
        for weight in trained:
            weight.requires_grad_(True)


def _run_again(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return `forward` without gradients, and with them in the backward pass."""

    def run(states: Tensor, *rest: object, **named: object) -> object:
        def again(given: Tensor) -> object:
            return forward(given, *rest, **named)

        return checkpoint(again, states, use_reentrant=True, preserve_rng_state=False)

    return run
