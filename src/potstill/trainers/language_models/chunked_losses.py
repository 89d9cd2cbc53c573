"""Losses straight from hidden states, a few tokens at a time, so that no array of all tokens by vocabulary exists.

A vocabulary is some hundred times larger than a hidden state: for 4,096 tokens of 150,000 logits, each copy takes 2.5
GB, and a divergence makes about ten of them for both models. Here each chunk's logits are computed, used and freed, and
its gradient is taken at once, so that a trained output layer costs no second pass either.

Shapes: N target tokens, n of them in a chunk, H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from potstill.trainers.language_models.base import CHUNK_TOKENS
from potstill.trainers.language_models.lazy_logits import Logits, Projection
from potstill.trainers.loop.objective import Losses
from potstill.trainers.losses import cross_entropy

ChunkLoss = Callable[[Tensor, slice], Losses]
"""Returns the losses [n] of a chunk from the student's logits [n, V] and which tokens these are."""


def chunked(student: Projection, loss: ChunkLoss, chunk: int) -> Losses:
    """Return the losses of a student's tokens, `chunk` of them at a time.

    The gradient is that of the dense form: it reaches the student's states and output layer. Each chunk's is taken
    in the forward pass, while its logits are in memory; the backward pass only scales it where all values have the same
    weight, as in a sum or a mean. Otherwise each chunk is computed again.
    """
    passes = _Pass(student, loss, chunk, [], [])
    inputs = (student.states, student.weight, student.bias, passes, torch.is_grad_enabled())
    parts, metrics = _Chunked.apply(*inputs)  # type: ignore[no-untyped-call] # torch
    return Losses(
        dict(zip(passes.parts, parts.unbind(-1), strict=True)),
        dict(zip(passes.metrics, metrics.unbind(-1), strict=True)),
    )


def hard_objective(logits: Logits, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the cross-entropy [N] of the targets from logits [N, V], or from a `Projection`, chunk by chunk."""
    labels = batch["labels"]
    if not isinstance(logits, Projection):
        return cross_entropy(logits, labels)
    return chunked(logits, lambda made, rows: Losses({"hard": cross_entropy(made, labels[rows])}), CHUNK_TOKENS).total()


class _Chunked(torch.autograd.Function):
    """Takes gradients chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, passes: _Pass, learns: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the parts of the loss [N, P] and the metrics [N, F], and keep the gradient of the parts' sum."""
        # None instead of zeros for an output that the loss does not use
        ctx.set_materialize_grads(False)
        ctx.passes, ctx.needed = passes, ctx.needs_input_grad[:3] if learns else (False,) * 3
        parts, metrics, ctx.gradients = passes(ctx.needed, None)
        ctx.mark_non_differentiable(metrics)
        return parts, metrics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor | None, _: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients, given how much each part of each token's loss counts."""
        if ctx.gradients is None:
            raise RuntimeError("the gradients of a chunked loss were taken already: compute the loss again")
        # freed at once: they are as large as the output layer, and are scaled in place below
        gradients, passes, ctx.gradients, ctx.passes = ctx.gradients, ctx.passes, None, None
        if upstream is None:
            return (None,) * 5
        # dL/dx = sum of c_i * dl_i/dx: with one c for all tokens and parts, c times the sum from the forward pass
        if upstream.numel() and bool((upstream == upstream[0, 0]).all()):
            gradients.scale(upstream[0, 0])
        elif upstream.numel():
            *_, gradients = passes(ctx.needed, upstream)
        return gradients.states, gradients.weight, gradients.bias, None, None


@dataclass(frozen=True)
class _Gradients:
    """Gradients of a weighted sum of losses, each None where it isn't needed."""

    states: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    @classmethod
    def zeros(cls, needed: Sequence[bool], *like: Tensor | None) -> _Gradients:
        """Return zeros like the tensors, to accumulate in."""
        return cls(*(torch.zeros_like(x) if x is not None and n else None for x, n in zip(like, needed, strict=True)))

    def scale(self, factor: Tensor) -> None:
        """Multiply all of them in place: a copy of an output layer's gradient takes much memory."""
        for gradient in (self.states, self.weight, self.bias):
            if gradient is not None:
                gradient.mul_(factor)


@dataclass(frozen=True)
class _Pass:
    """A pass over all chunks: losses, metrics and gradients."""

    student: Projection
    loss: ChunkLoss
    chunk: int
    parts: list[str]
    """Names of the parts, once they are known."""
    metrics: list[str]
    """Names of the metrics, once they are known."""

    def __call__(self, needed: Sequence[bool], upstream: Tensor | None) -> tuple[Tensor, Tensor, _Gradients]:
        """Return parts [N, P], metrics [N, F], and the gradients of the parts' sum, weighted by `upstream` [N, P]."""
        given = self.student
        student = replace(given, weight=given.weight.to(given.states.dtype))
        total = _Gradients.zeros(needed, given.states, given.weight, given.bias)
        parts, metrics = [], []
        # without tokens there is one empty chunk, for the names of parts and metrics
        for start in range(0, max(len(student), 1), self.chunk):
            rows = slice(start, start + self.chunk)
            # autograd sees logits as a leaf: what lies before them is differentiated by hand, in `_add`
            with torch.no_grad():
                logits = student.raw(rows).float()
            with torch.set_grad_enabled(any(needed)):
                losses = self.loss(student.shaped(logits.requires_grad_(any(needed))), rows)
                of_chunk = _stacked(losses.parts, len(logits), logits.device)
                weighted = (of_chunk if upstream is None else of_chunk * upstream[rows]).sum()
            if any(needed):
                _add(total, torch.autograd.grad(weighted, logits)[0], student, rows)
            parts.append(of_chunk.detach())
            metrics.append(_stacked(losses.metrics, len(logits), logits.device).detach())
        self.parts[:], self.metrics[:] = losses.parts, losses.metrics
        return torch.cat(parts), torch.cat(metrics), total


def _stacked(values: Mapping[str, Tensor], count: int, device: torch.device) -> Tensor:
    """Return values [n] by name as one array [n, P]."""
    return torch.stack([*values.values()], dim=-1) if values else torch.zeros(count, 0, device=device)


def _add(total: _Gradients, gradient: Tensor, student: Projection, rows: slice) -> None:
    """Add to the gradients those that follow from a chunk's [n, V] with respect to its logits."""
    # of z = h W^T + b: dh = dz W, dW = dz^T h, db = the sum of dz
    states = student.states[rows]
    cast = gradient.to(states.dtype)
    if total.states is not None:
        torch.mm(cast, student.weight, out=total.states[rows])
    if total.weight is not None:
        # under autocast states are bfloat16 and the weight's gradient float32, which addmm_ refuses
        if total.weight.dtype == states.dtype:
            total.weight.addmm_(cast.t(), states)
        else:
            total.weight.add_(cast.t() @ states)
    if total.bias is not None:
        total.bias.add_(gradient.sum(dim=0))
