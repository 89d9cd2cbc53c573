"""Unstructured pruning steps: their fields, the loop over the blocks, and the storage that the zeros would save.

Always those of the blocks' linear layers; embeddings and head stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from annotated_types import Interval

from potstill.compression.pruning import nm_pattern as patterns
from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.steps.compression.base import CalibratedStep, publish
from potstill.steps.pruning.recovery import recovered

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.compression.layerwise import Statistic
    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.sparse_storage import SparseStorage
    from potstill.engine.context import Context
    from potstill.models.folder import Loaded
    from potstill.steps.compression.calibration import Calibration

NO_GAIN = "the zeros are stored like other weights: no smaller on disk and no faster"
Kept = TypeVar("Kept", bound="Statistic")


class LayerwisePrune(CalibratedStep):
    """Sets weights to zero block by block, on the outputs of the blocks that are pruned already."""

    both_stacks: ClassVar[bool] = True

    _: KW_ONLY
    calibration: Rows = field()
    recover: Step | None = None
    """A trainer that trains what is left, such as `SoftLabel(rows, student=model, teacher=model)`: its student becomes
    the pruned model, and what is zero stays zero. Pruned and recovered model are steps of their own in the store."""
    sparsity: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Share of the weights that become zero; the main setting of the papers is 0.5. A `pattern` N:M has its own, which
    this must be: 0.5 for 2:4, 0.75 for 1:4."""
    pattern: str = patterns.UNSTRUCTURED
    """Where zeros may stand: anywhere (`unstructured`), or N:M, such as `2:4`, for at most 2 other weights in every 4
    consecutive inputs."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from pattern_problems(self.pattern, self.sparsity)

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return recovered(self, self.recover, zeros=True)


@dataclass(frozen=True)
class Result:
    """What pruning left."""

    sparsity: float
    """Share of zeros in the pruned layers."""
    storage: SparseStorage
    """Bytes of these layers in several formats."""


def pattern_problems(pattern: str, sparsity: float) -> Iterator[Problem]:
    """Yield that `pattern` is none, or that it makes another share of the weights zero than `sparsity`."""
    try:
        parsed = patterns.parse(pattern)
    except BadInput as error:
        yield Problem("", "pattern", str(error))
        return
    if parsed is not None and abs(parsed.sparsity - sparsity) > 1e-6:
        share = f"{parsed.sparsity:.6g}"
        yield Problem(
            "",
            "sparsity",
            f"is {sparsity}, but the pattern {pattern} makes {share} of the weights zero: set sparsity={share}",
        )


def check_pattern(layers: Mapping[str, Any], pattern: str) -> None:
    """Make sure that `pattern` fits the `layers`, by path.

    Raises:
        BadInput: it doesn't.
    """
    parsed = patterns.parse(pattern)
    if parsed is not None:
        widths = {path: layer.in_features for path, layer in layers.items()}
        patterns.check_widths(widths, parsed.group, f"pattern {pattern}")


def prune_blocks(
    model: PretrainedModel,
    drawn: Calibration,
    record: Callable[[Any], Kept],
    change: Callable[[str, Tensor, Kept], Tensor],
    context: Context,
) -> None:
    """Change the weights of `model` block by block, given the statistic `record(layer)` of each layer's inputs."""
    from potstill.compression.architecture import stacks_of

    total = sum(len(blocks) for _, blocks in stacks_of(model))
    for number, block in enumerate(drawn.walk(model)):
        # recorded before any weight of the block changes: the statistics are of the inputs that its layers were fitted
        # to
        statistics = block.record(record)
        for path, layer in block.layers.items():
            # what no later layer of the block shares is freed
            layer.weight.data.copy_(change(path, layer.weight.data, statistics.pop(path)))
        context.progress(number + 1, total, note=block.name)


def measure_zeros(model: PretrainedModel) -> Result:
    """Return the share and storage of zeros in the blocks' linear layers."""
    from potstill.compression.layerwise import block_layers
    from potstill.compression.pruning.sparse_storage import total

    weights = [layer.weight.data for layer in block_layers(model).values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return Result(zeros / max(sum(weight.numel() for weight in weights), 1), total(weights))


def publish_pruned(
    loaded: Loaded,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
    context: Context,
    *,
    sparsity: float,
    pattern: str,
) -> Path:
    """Write the pruned model with what its zeros would save, and return its folder.

    `figures` were measured on the calibration texts; `sparsity` and `pattern` are what was asked for.
    """
    result = measure_zeros(loaded.model)
    context.notes |= {"sparsity": result.sparsity, "storage": {"note": NO_GAIN, **vars(result.storage)}}
    dense = max(result.storage.dense, 1)
    alternatives = {"CSR": result.storage.csr, "bit mask": result.storage.bitmask, "zstd": result.storage.zstd}
    details = {
        **{f"calibration {name}": value for name, value in figures.items()},
        "zeros": result.sparsity,
        **{f"pruned layers as {name}, share of their bytes": size / dense for name, size in alternatives.items()},
    }
    full_recipe = {**recipe, "sparsity": sparsity, "pattern": pattern, "storage": NO_GAIN}
    return publish(loaded, context, f"{sparsity:.0%} pruned", full_recipe, details)
