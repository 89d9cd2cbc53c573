"""Activation checkpointing per block: a backward pass through the whole model in the memory of one block.

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
    """Store only the inputs [B, T, H] of each block, and recompute the block during the backward pass.

    Chen et al. 2016, arXiv 1604.06174. Weights get no gradient; tensors that hooks multiply in do, by `backward()`
    (`torch.autograd.grad` doesn't reach them, because the block is recomputed inside the backward pass).
    """
    caches = getattr(model.config, "use_cache", False)
    if caches:  # the recomputation would append its keys and values to the cache a second time
        model.config.use_cache = False
    # frozen for the pass, or each weight would get a gradient of its own size
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    blocks = blocks_of(model)[1]
    for weight in trained:
        weight.requires_grad_(False)
    # `checkpoint` with use_reentrant=True recomputes only where an input requires a gradient
    handle = model.get_input_embeddings().register_forward_hook(
        lambda _, __, embeddings: embeddings.requires_grad_(True)
    )
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
    """Return `forward` as a checkpoint: without a graph now, recomputed with one in the backward pass."""

    def run(states: Tensor, *rest: object, **named: object) -> object:
        def again(inputs: Tensor) -> object:
            return forward(inputs, *rest, **named)

        # reentrant: runs the forward pass under `no_grad`, which is what holds the memory down; evaluation draws no
        # noise
        return checkpoint(again, states, use_reentrant=True, preserve_rng_state=False)

    return run
