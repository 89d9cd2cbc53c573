"""How much each token counts in the Hessian of a layer: by how strongly what the model puts out hangs on it.

GPTQ's Hessian, the mean of x xᵀ, takes an error of a layer's outputs at every token for as bad, by its square. To
second order what a model puts out changes by half of E (g' d)^2, with d the change of the outputs at a token and g the
slope of a drawn prediction there (`curvature` says why). With g independent of x but for its length, and alike to all
output features, that is |g|^2 times the squared error: the Hessian becomes the mean of |g|^2 x xᵀ. GuidedQuant (Kim et
al. 2025, arXiv 2505.07004, section 3.2) has such a Hessian for each of a few groups of output features; here it is one,
which layers of the same inputs share. A text's first token, on which others rest their attention, and whose activations
can be a hundred times theirs, so gets the weight it has in the model and not that of its size.

Shapes: B texts, T tokens of a text, O output features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from potstill.compression.block_backward import one_block_held
from potstill.compression.quantization.curvature import drawn, repeated

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def token_weights(
    model: PretrainedModel,
    layers: Mapping[str, nn.Linear],
    texts: Sequence[tuple[Tensor, int]],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Tensor]:
    """Return the weights of all tokens, with mean 1, for each of the inputs that `layers` read.

    They stand at the path of the first layer that reads these inputs, as statistics of `Block.record` do, and in the
    order of `loss.batches_of(texts)`. Inputs on which nothing hangs are left out.

    Args:
        model: in 16 or 32 bits; it is left so.
        layers: of the model, by path.
        texts: token ids [T], and how many of them are the prompt's.
        seed: of the predictions that are drawn, one for each position.
        progress: called with the number of texts done.
    """
    squares: dict[str, list[Tensor]] = {}
    generator, done = torch.Generator(model.device).manual_seed(seed), 0
    model.eval()
    for batch in repeated(texts, draws=1):
        sums: dict[str, Tensor] = {}
        with one_block_held(model), _slopes(layers, sums), torch.enable_grad():
            drawn(model, batch, generator).sum().backward()  # type: ignore[no-untyped-call] # torch
        for path, own in sums.items():
            squares.setdefault(path, []).append(own.cpu())
        done += len(batch.ids)
        progress(done)
    weights = {}
    for path, parts in squares.items():
        whole = torch.cat(parts)
        mean = whole.mean()
        # in 16 bits the slopes of a broken model overflow, and it has a message of its own for that
        if torch.isfinite(mean) and mean > 0:
            weights[path] = whole / mean
    return weights


@contextmanager
def _slopes(layers: Mapping[str, nn.Linear], sums: dict[str, Tensor]) -> Iterator[None]:
    """Add the squared slopes of each token [B * T], over all layers that read it, to `sums` in the backward pass."""
    readers: dict[int, tuple[object, str]] = {}

    def listener(path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(_: nn.Module, args: tuple[Tensor, ...], outputs: Tensor) -> None:
            # the forward pass of a checkpointed block has no graph; the hook is set when the block is recomputed
            if not outputs.requires_grad:
                return
            # holding the tensor keeps its id from being used again within this block
            owner = readers.setdefault(id(args[0]), (args[0], path))[1]

            def add(gradient: Tensor) -> None:
                # the block has been recomputed by now: the next one to read is another
                readers.clear()
                own = gradient.float().square().sum(-1).reshape(-1)
                sums[owner] = sums[owner] + own if owner in sums else own

            outputs.register_hook(add)  # type: ignore[no-untyped-call] # torch

        return listen

    with ExitStack() as stack:
        for path, layer in layers.items():
            stack.callback(layer.register_forward_hook(listener(path)).remove)
        yield
