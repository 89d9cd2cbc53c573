"""Losses straight from hidden states, a few tokens at a time, so that no array of all tokens by vocabulary exists.

A vocabulary is some hundred times larger than a hidden state: for 4,096 tokens of 150,000 logits, each copy takes 2.5
GB, and a divergence makes about ten of them for both models. Here each chunk's logits are computed, used and freed, and
its gradient is taken at once, so that a trained output layer costs no second pass either. `before_the_output_layer` has
a model stop at its hidden states, which `chunked` then reads.

Shapes: N target tokens, n of them in a chunk, H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from potstill.models.hidden_states import CLOSE, Projection, projection
from potstill.trainers.language_models.base import CHUNK_TOKENS
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.student_model import evaluating
from potstill.trainers.losses import cross_entropy

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.trainers.loop.schedule import Reading

Logits = Union[Tensor, Projection]
"""Logits [N, V] of targets, computed or not."""
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
    return chunked(logits, lambda cut, rows: Losses({"hard": cross_entropy(cut, labels[rows])}), CHUNK_TOKENS).total()


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
        whole = self.student
        student = replace(whole, weight=whole.weight.to(whole.states.dtype))
        total = _Gradients.zeros(needed, whole.states, whole.weight, whole.bias)
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


def before_the_output_layer(reading: Reading) -> Reading:
    """Return a reading that leaves the output layer to the objective, where the model's architecture allows that."""
    return replace(reading, logits=TargetStates(reading.logits))


class TargetStates:
    """Reads a batch like a model's own reading, but stops before the output layer where that can be done later.

    It can where the output layer is a plain matrix and the logits rebuilt from its inputs are the model's: tested once
    on two tokens, as architectures change their logits in various ways. For other models the logits are returned.
    """

    def __init__(self, logits: Callable[[Any, Mapping[str, Tensor]], Tensor]) -> None:
        """Read as `logits` does, which returns [N, V]."""
        self._logits = logits
        self._rebuilds: dict[int, bool] = {}

    def __call__(self, model: PretrainedModel, batch: Mapping[str, Tensor]) -> Any:
        """Return the `Projection` of the targets of `batch`, or their logits [N, V]."""
        bare = getattr(model, "module", model)  # without a wrapper such as DataParallel
        if id(bare) not in self._rebuilds:
            self._rebuilds[id(bare)] = rebuilds(bare)
        if not self._rebuilds[id(bare)]:
            return self._logits(model, batch)
        head, select = bare.get_output_embeddings(), batch["select"]
        seen: list[Tensor] = []
        hooks = [head.register_forward_pre_hook(_take(seen)), head.register_forward_hook(_nothing(seen))]
        try:
            # the whole model is called, not its inner one: FSDP gathers weights and reduces gradients by its hooks
            self._logits(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        return projection(bare, seen[0][select])


def rebuilds(model: PretrainedModel) -> bool:
    """Return whether a model's logits are what `projection` makes of its states."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    # adapters and quantized layers compute otherwise than by their weight
    if type(head) is not torch.nn.Linear:
        return False
    ids = torch.tensor([[0, 1]], device=head.weight.device)
    decoder = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, args: seen.append(_computed(args[0])))
    try:
        with torch.no_grad(), evaluating(model):
            logits = model(input_ids=ids, use_cache=False, **decoder).logits[0].float()
    finally:
        hook.remove()
    if len(seen) != 1 or seen[0].shape[:2] != ids.shape:
        return False
    rebuilt = projection(model, seen[0][0]).logits(slice(None))
    return bool((rebuilt - logits).abs().max() <= CLOSE * logits.abs().max().clamp(min=1e-6))


def _computed(states: Tensor) -> Tensor:
    """Return states in the dtype that the model computes in: autocast would cast them in the layer itself."""
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


def _take(captured: list[Tensor]) -> Callable[[Any, Any], Any]:
    """Return a hook that keeps the input of a layer, and passes it an empty one."""

    def hook(_: nn.Module, args: tuple[Tensor, ...]) -> Any:
        captured.append(_computed(args[0]))
        return (args[0][:, :0],)

    return hook


def _nothing(captured: list[Tensor]) -> Callable[[Any, Any, Any], Tensor]:
    """Return a hook that puts one zero a token in place of the logits, cheap for the rest of the model."""
    # expanded, not allocated: the rest of the forward pass may index, scale or slice it like logits
    return lambda layer, args, output: output.new_zeros(1).expand(*captured[0].shape[:-1], 1)
