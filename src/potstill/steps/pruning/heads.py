"""Attention heads pruned by the gradient of the loss for their gates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.engine.step import Step
from potstill.errors import BadInput
from potstill.models import folder
from potstill.steps.compression.loss_base import loss_batches
from potstill.steps.pruning.recovery import recovered
from potstill.steps.pruning.structured import CutStep, publish_cut, remember

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.shapes import Shape
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class HeadPrune(CutStep):
    """Prune the attention heads to which the loss is least sensitive (Michel et al. 2019, section 4.1).

    Importance is the mean over texts of |dL / d gate|, one gate for each key-value group, since the query heads that
    share keys can only go together. Every block keeps as many heads, and the folder is a smaller model of the same
    type. `masked=True` is the paper's own way instead: heads of the whole model compete (each block's importances
    scaled to an L2 norm of 1), and those that lose become zero weights, which any type can hold but which make
    nothing smaller or faster. Notes hold the importances.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(HeadPrune(student, calibration=rows, heads=2))
    {'parameters': 951680, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    heads: Annotated[int, Ge(1)]
    """Query heads that stay in each block, whole key-value groups; with `masked` that many on average."""
    masked: bool = False
    """Whether heads become zero, anywhere in the model, rather than being cut, equally many in each block."""
    align: Annotated[int, Ge(1)] = 64
    """What the features of all heads that stay must be a multiple of, for fast kernels; tiny models need less."""

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return recovered(self, self.recover, zeros=self.masked)

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Take heads of `model` away and write its folder.

        Raises:
            BadInput: so many heads can't stay, there is no loss to measure, or the calibration is too short.
        """
        from potstill.compression.pruning.head_importance import head_importance

        loaded = folder.load(model)
        original = remember(self, loaded, calibration)
        old = original.shape
        problems = list(self._problems(loaded.model, old))
        if problems:
            raise BadInput(*problems)
        batches = loss_batches(loaded, original.drawn, calibration, self.label)
        total = len(original.drawn.texts)
        importance = head_importance(loaded.model, batches, lambda done: context.progress(done, total))
        self._take(loaded.model, importance, old, context)
        context.notes["importance"] = [[float(f"{value:.4g}") for value in block] for block in importance.tolist()]
        recipe = {
            "method": "heads by gradient of their gates (Michel et al. 2019)",
            "heads kept": self.heads,
            "heads are": "zero: no smaller and no faster" if self.masked else "cut out",
        }
        return publish_cut(loaded, original, context, f"{self.heads} of {old.heads} heads", recipe)

    def _take(self, model: PretrainedModel, importance: Tensor, old: Shape, context: Context) -> None:
        """Cut or zero the least important groups."""
        from potstill.compression.pruning.activation_importance import best
        from potstill.compression.pruning.gates import zero_groups
        from potstill.compression.pruning.head_importance import by_layer, least
        from potstill.compression.pruning.slicing import cut_groups

        groups = self.heads // old.per_group
        if self.masked:
            # by layer only here: the scale of gradients differs between blocks, which matters where blocks compete
            gone = least(by_layer(importance), (old.groups - groups) * old.layers)
            zero_groups(model, gone, old.per_group, old.head_size)
            context.notes["zeroed groups"] = gone
        elif groups < old.groups:
            cut_groups(model, list(best(importance, groups)))

    def _problems(self, model: PretrainedModel, old: Shape) -> Iterable[str]:
        """Yield why so many heads can't stay."""
        from potstill.compression.architecture import architecture_of
        from potstill.compression.pruning import shapes

        kind, arch = model.config.model_type, architecture_of(model)
        if not arch.queries:
            yield (
                f"heads of a model of type {kind!r} can't go, as {arch.heads_kept}: prune blocks (DepthPrune) or "
                "weights"
            )
            return
        if self.masked and self.heads <= old.heads and not self.heads % old.per_group:
            return
        for problem in shapes.problems(kind, arch, old, shapes.with_heads(old, self.heads), self.align):
            yield problem + ("" if self.masked else "; masked=True zeroes heads of any type, without gain in size")
