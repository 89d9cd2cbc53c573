"""Learned masks as the `Form` of a training: gates in the model, their Lagrangian in the loss, pruning at the end.

Shapes: N targets, J constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, with_linear_layers, with_own_layers
from potstill.compression.pruning import shapes
from potstill.compression.pruning.l0_masks import COARSE_AND_FINE, GROUPS, HIDDEN, UNITS, Costs, L0Masks, Lagrangian
from potstill.compression.pruning.masked_model import Masked, build_in, cut, unevenness
from potstill.errors import BadInput
from potstill.trainers.loop.objective import Losses, Objective

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.trainers.compressed.masks import Masks
    from potstill.trainers.loop.schedule import Schedule

PART = "pruning_masks"
"""Name under which masks and multipliers are part of the model while it trains, and of its checkpoints."""
NO_GAIN = "zeros in a dense model: no smaller and no faster"


class Pruning(nn.Module):
    """The masks of a model, and the Lagrangian that takes them to their target."""

    def __init__(self, masks: L0Masks, lagrangian: Lagrangian, counts: Mapping[str, int] | None) -> None:
        """Learn `masks`: `counts` are how many parts of each kind stay; None aims at a sparsity."""
        super().__init__()
        self.masks, self.lagrangian, self.counts = masks, lagrangian, counts

    def reached(self) -> Tensor:
        """Return the current values [J] of the constraints."""
        if self.counts is None:
            return self.masks.expected_sparsity().reshape(1)
        return self.masks.shares(tuple(self.counts))


@dataclass(frozen=True)
class UnderMasks:
    """An objective with the Lagrangian of the masks."""

    objective: Objective
    """The loss beside them."""
    pruning: Pruning
    """The masks."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return the parts of the loss, with the Lagrangian's penalty."""
        plain = Losses.of(self.objective(logits, batch))
        first = next(iter(plain.parts.values()))
        metrics = {"sparsity": self.pruning.masks.expected_sparsity().detach().expand(len(first))}
        parts = dict(plain.parts)
        if self.pruning.training:
            # to each target the whole penalty: the loss of a batch is the mean over its targets
            parts["masks"] = self.pruning.lagrangian.penalty(self.pruning.reached()).to(first).expand(len(first))
            self.pruning.lagrangian.seen += len(first)
        return Losses(parts, {**plain.metrics, **metrics})


class MaskForm:
    """Masks as a `Form`."""

    def __init__(self, masks: Masks) -> None:
        """Prune a model to the size in `masks`."""
        self._wanted = masks
        self._masked: Masked | None = None

    def begin(self, model: PretrainedModel, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Put gates into `model`.

        Raises:
            BadInput: its architecture is unknown, or can't have the target shape.
        """
        arch = architecture_of(model)
        if arch.has_experts:
            kind = model.config.model_type
            raise BadInput(f"a model of type {kind!r} is a mixture of experts, which has no gates here")
        with_linear_layers(model)
        shape = shapes.shape_of(model)
        counts = None if self._wanted.sparsity is not None else self._counts(model, shape)
        if counts is None and arch.norms_behind:
            raise BadInput(
                f"sparsity: a model of type {model.config.model_type!r} has norms behind attention and feed-forward, "
                "which undo a gate of a whole one: ask for a shape (intermediate_size, heads, hidden_size)"
            )
        kinds = COARSE_AND_FINE if counts is None else tuple(counts)
        # one optimizer trains weights and masks: parameters scaled by the ratio of their rates move that much faster
        ratio = self._wanted.learning_rate / schedule.learning_rate
        masks = L0Masks(shape, Costs.of(shape, 2 if arch.units_fused else len(arch.units)), kinds, ratio)
        start, goal = self._goal(masks, counts)
        pruning = Pruning(masks, Lagrangian(start, goal, targets, self._wanted.warmup, ratio), counts)
        # a part of the model, so that optimizer and checkpoints take it along
        model.add_module(PART, pruning.to(model.device))
        self._masked = Masked(model, masks)
        return UnderMasks(objective, pruning)

    def _counts(self, model: PretrainedModel, old: shapes.Shape) -> dict[str, int]:
        """Return how many parts stay, by kind.

        Raises:
            BadInput: the shape doesn't fit the model.
        """
        wanted = self._wanted
        new = shapes.with_heads(old, wanted.heads or old.heads)
        new = replace(new, units=wanted.intermediate_size or old.units, hidden=wanted.hidden_size or old.hidden)
        problems = list(shapes.problems(model.config.model_type, architecture_of(model), old, new, wanted.align))
        if not problems and new == old:
            problems = ["nothing would be pruned: the model has this shape already"]
        if problems:
            raise BadInput(*problems)
        sizes = {GROUPS: (old.groups, new.groups), UNITS: (old.units, new.units), HIDDEN: (old.hidden, new.hidden)}
        return {name: after for name, (before, after) in sizes.items() if after != before}

    def _goal(self, masks: L0Masks, counts: Mapping[str, int] | None) -> tuple[Tensor, Tensor]:
        """Return the constrained values [J] of the unpruned model, and their targets."""
        if counts is None:
            return torch.zeros(1), torch.tensor([float(self._wanted.sparsity or 0)])
        wanted = [
            torch.full_like(masks.shares((kind,)).detach(), count / masks.scaled[kind].shape[-1])
            for kind, count in counts.items()
        ]
        goal = torch.cat(wanted)
        return torch.ones_like(goal), goal

    def end(self, model: PretrainedModel, context: Context) -> None:
        """Multiply the gates into the weights, and remove the pruned parts where every block keeps as many."""
        pruning: Pruning = getattr(model, PART)
        assert self._masked is not None
        self._masked.release()
        delattr(model, PART)
        masks, counts = pruning.masks, pruning.counts
        expected = float(masks.expected_sparsity().detach())
        # the trained gates are sampled: these are fixed, and held to the target
        gates = masks.final(counts or float(self._wanted.sparsity or 0))
        whole = {kind: torch.ones_like(masks.open_probability(kind)) for kind in ("hidden", *COARSE_AND_FINE)}
        left = masks.remaining({**whole, **{kind: (one > 0).float() for kind, one in gates.items()}})
        build_in(model, gates, masks.shape)
        logged: dict[str, Any] = {"expected_sparsity": round(expected, 4), "sparsity": round(1 - float(left), 4)}
        if counts is None:
            reason = unevenness(gates)
            logged |= {
                "storage": NO_GAIN,
                "why": reason or "the blocks happen to be alike: ask for this shape to cut it",
            }
        else:
            cut(model, gates, counts)
            before, after = masks.shape.described(), shapes.shape_of(model).described()
            logged |= {"shape": {"before": before, "after": after}}
        context.notes["masks"] = logged
        with_own_layers(model)

    def publish(self, folder: Path, context: Context) -> None:
        """Leave the folder as it is."""
