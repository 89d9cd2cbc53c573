"""Steps that set single weights to zero: their fields, the loop over the blocks, and what the zeros would save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from annotated_types import Interval

from potstill.compression.pruning import nm_pattern as patterns
from potstill.errors import BadInput, Problem
from potstill.steps.compression.base import CalibratedStep, PruneStep, publish
from potstill.steps.quantization.base import reference

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.layerwise import Statistic
    from potstill.compression.pruning.nm_pattern import NM
    from potstill.compression.pruning.sparse_storage import SparseStorage
    from potstill.engine.context import Context
    from potstill.models.folder import Loaded

NO_GAIN = "the zeros are stored like other weights: no smaller on disk and no faster"
Kept = TypeVar("Kept", bound="Statistic")


class ZeroingStep(PruneStep):
    """Sets weights of the blocks' linear layers to zero; embeddings and head stay."""

    holds_zeros: ClassVar[bool] = True

    _: KW_ONLY
    sparsity: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Share of the weights that become zero; the main setting of the papers is 0.5. A `pattern` N:M has its own, which
    this must be: 0.5 for 2:4, 0.75 for 1:4."""
    pattern: str = patterns.UNSTRUCTURED
    """Where zeros may stand: anywhere (`unstructured`), or N:M, such as `2:4`, for at most 2 other weights in every 4
    consecutive inputs."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        try:
            pattern = self.nm
        except BadInput as error:
            yield Problem("", "pattern", str(error))
            return
        if pattern is not None and abs(pattern.sparsity - self.sparsity) > 1e-6:
            share = f"{pattern.sparsity:.6g}"
            yield Problem("", "sparsity", f"is {self.sparsity}, but the pattern {self.pattern} makes {share} of the "
                                          f"weights zero: set sparsity={share}")  # fmt: skip

    @property
    def nm(self) -> NM | None:
        """Return the pattern, or None if zeros may stand anywhere.

        Raises:
            BadInput: it is no pattern.
        """
        return patterns.parse(self.pattern)

    def check_layers(self, layers: Mapping[str, Any]) -> None:
        """Make sure that the pattern fits the `layers`, by path.

        Raises:
            BadInput: it doesn't.
        """
        if self.nm is not None:
            widths = {path: layer.in_features for path, layer in layers.items()}
            patterns.check_widths(widths, self.nm.group, f"pattern {self.pattern}")

    def publish(
        self,
        loaded: Loaded,
        result: Result,
        recipe: Mapping[str, object],
        figures: Mapping[str, float],
        context: Context,
    ) -> Path:
        """Write the pruned model with what its zeros would save, and return its folder.

        `figures` were measured on the calibration texts.
        """
        context.notes |= {"sparsity": result.sparsity, "storage": {"note": NO_GAIN, **vars(result.storage)}}
        dense = max(result.storage.dense, 1)
        would = {"CSR": result.storage.csr, "bit mask": result.storage.bitmask, "zstd": result.storage.zstd}
        told = {
            **{f"calibration {name}": value for name, value in figures.items()},
            "zeros": result.sparsity,
            **{f"pruned layers as {name}, share of their bytes": size / dense for name, size in would.items()},
        }
        made = {**recipe, "sparsity": self.sparsity, "pattern": self.pattern, "storage": NO_GAIN}
        return publish(loaded, context, f"{self.sparsity:.0%} pruned", made, told)


@dataclass(frozen=True)
class Result:
    """What pruning left."""

    sparsity: float
    """Share of zeros in the pruned layers."""
    storage: SparseStorage
    """Bytes of these layers in several formats."""


class LayerwisePrune(ZeroingStep, CalibratedStep):
    """Prunes block by block, on the outputs of the blocks that are pruned already."""

    def pruned(
        self,
        loaded: Loaded,
        rows: Dataset,
        context: Context,
        record: Callable[[Any], Kept],
        change: Callable[[str, Tensor, Kept], Tensor],
    ) -> dict[str, float]:
        """Prune the model in place; return how far it still agrees with the one before, on the calibration texts.

        `record` starts the statistic of a layer's inputs; `change` returns, given a layer's path, its weight and that
        statistic, the weight that it gets.

        Raises:
            BadInput: the calibration rows or the layers' widths are of no use.
        """
        from potstill.compression.layerwise import block_layers

        self.check_layers(block_layers(loaded.model))
        before = reference(self, loaded, rows)
        prune_blocks(loaded.model, before.drawn.batches(), record, change, context)
        return before.measure(context)


def prune_blocks(
    model: Any,
    batches: list[Any],
    record: Callable[[Any], Kept],
    change: Callable[[str, Tensor, Kept], Tensor],
    context: Context,
) -> None:
    """Change the weights of `model` block by block, given what `record` keeps of each layer's inputs."""
    from potstill.compression.architecture import blocks_of
    from potstill.compression.layerwise import walk

    total = len(blocks_of(model)[1])
    for number, block in enumerate(walk(model, batches)):
        kept = block.record(record)
        for path, layer in block.layers.items():
            layer.weight.data.copy_(change(path, layer.weight.data, kept[path]))
        context.progress(number + 1, total, note=block.name)


def measured(model: Any) -> Result:
    """Return what the zeros in the blocks' linear layers come to."""
    from potstill.compression.layerwise import block_layers
    from potstill.compression.pruning.sparse_storage import total

    weights = [layer.weight.data for layer in block_layers(model).values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return Result(zeros / max(sum(weight.numel() for weight in weights), 1), total(weights))
