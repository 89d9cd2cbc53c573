"""Magnitude pruning: the smallest weights become zero, regardless of their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Interval

from potstill.compression.pruning.nm_pattern import UNSTRUCTURED, check_widths, parse
from potstill.engine.step import Step
from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import CompressionStep
from potstill.steps.pruning.recovery import recovered
from potstill.steps.pruning.unstructured import check_pattern, pattern_problems, publish_pruned

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class MagnitudePrune(CompressionStep):
    """Prune the smallest weights of the blocks' linear layers (Han et al. 2015, arXiv 1506.02626, section 3).

    What is small is set by `scope`: that of See et al. 2016 (arXiv 1606.09274), and what goes together by
    `granularity`: that of Mao et al. 2017 (arXiv 1705.08922), by mean magnitude. It needs no data; embeddings and head
    stay. The folder is a dense one, also where whole rows are zero: neither smaller nor faster. Weights that are zero
    already go first, so that pruning again to a higher share keeps all zeros.

    >>> show(MagnitudePrune(student, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    _: KW_ONLY
    recover: Step | None = None
    """A trainer that trains what is left, such as `SoftLabel(rows, student=model, teacher=model)`: its student becomes
    the pruned model, and what is zero stays zero. Pruned and recovered model are steps of their own in the store."""
    sparsity: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Share of the weights that become zero. A `pattern` N:M has its own, which this must be: 0.5 for 2:4."""
    pattern: str = UNSTRUCTURED
    """Where zeros may stand: anywhere (`unstructured`), or N:M, such as `2:4`, for at most 2 other weights in every 4
    consecutive inputs."""
    scope: Literal["global", "layer", "deviation"] = "global"
    """What weights are compared with: all of them (`global`, See's class-blind, which loses least), those of their
    `layer`, or all by the standard `deviation` of their layer. A `pattern` compares within its groups only."""
    granularity: Literal["fine-grained", "vector", "structured"] = "fine-grained"
    """What goes together: single weights, `vector` consecutive inputs of a row, or whole rows, that is outputs."""
    vector: Annotated[int, Ge(2)] = 4
    """Inputs of a vector."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from pattern_problems(self.pattern, self.sparsity)
        if self.pattern != "unstructured" and self.granularity != "fine-grained":
            yield Problem(
                "",
                "granularity",
                f'is {self.granularity}, but the pattern {self.pattern} is of single weights: set "fine-grained"',
            )

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return recovered(self, self.recover, zeros=True)

    def _check_layers(self, layers: Mapping[str, Any]) -> None:
        """Make sure that pattern or vectors fit the `layers`, by path.

        Raises:
            BadInput: they don't.
        """
        check_pattern(layers, self.pattern)
        if self.granularity == "vector":
            check_widths({path: layer.in_features for path, layer in layers.items()}, self.vector, "vector")

    def run(self, model: ModelSource, context: Context) -> Path:
        """Prune `model` and write its folder.

        Raises:
            BadInput: the model can't be pruned in this way.
        """
        from potstill.compression.layerwise import block_layers
        from potstill.compression.pruning.magnitude import pattern_mask, prune_masks

        loaded = folder.load(model)
        layers = block_layers(loaded.model)
        self._check_layers(layers)
        weights = [layer.weight.data for layer in layers.values()]
        pattern = parse(self.pattern)
        if pattern is not None:
            masks: Iterator[Tensor] = (pattern_mask(weight, pattern) for weight in weights)
        else:
            run = {"fine-grained": 1, "vector": self.vector, "structured": None}[self.granularity]
            masks = prune_masks(weights, self.sparsity, self.scope, run)
        # `weights` are the layers' own tensors, and masks come one at a time
        for number, (weight, mask) in enumerate(zip(weights, masks, strict=True)):
            weight.mul_(mask)
            context.progress(number + 1, len(weights))
        recipe = {"method": "magnitude (Han et al. 2015)", "granularity": self.granularity, "scope": self.scope}
        return publish_pruned(loaded, recipe, {}, context, sparsity=self.sparsity, pattern=self.pattern)
