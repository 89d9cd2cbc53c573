"""Pruning: steps that set weights of a model to zero."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.steps import checkpoint
from potstill.steps.bases.compression import CalibratedStep, PruneStep, publish

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context

NO_GAIN = "the zeros are stored like other weights: no smaller on disk and no faster"


class WandaPrune(PruneStep, CalibratedStep):
    """Prune the blocks' linear layers by |weight| times input norm (Wanda, Sun et al. 2023, section 3).

    Block by block; embeddings and head stay. Within every output row the same share of weights becomes zero. The folder
    is a dense one: unstructured zeros make it neither smaller nor faster in vLLM or transformers. Notes hold the share
    of zeros and the agreement with the unpruned model on the calibration answers (fitted to them, so optimistic).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(WandaPrune(student, calibration=rows, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    holds_zeros: ClassVar[bool] = True

    _: KW_ONLY
    sparsity: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Share of the weights of each row that become zero; the paper's main setting is 0.5."""

    def run(self, model: Any, calibration: Dataset, context: Context) -> Path:
        """Prune `model` and write its folder."""
        from potstill.compression.agreement import compared, outputs

        loaded = checkpoint.load(model)
        drawn = self.draw(loaded, calibration)
        before = outputs(loaded.model, drawn.measured)
        reached = prune(loaded.model, drawn.batches(), self.sparsity, context)
        figures = compared(loaded.model, before, outputs(loaded.model, drawn.measured))
        context.notes |= {"calibration": drawn.figures(), "agreement": figures, "sparsity": reached}
        recipe = {
            "method": "Wanda, unstructured (Sun et al. 2023)",
            "sparsity": self.sparsity,
            "storage": NO_GAIN,
            "calibration rows": len(drawn.texts),
        }
        told = {**{f"calibration {name}": value for name, value in figures.items()}, "zeros": reached}
        return publish(loaded, context, f"{self.sparsity:.0%} pruned", recipe, told)


def prune(model: Any, batches: list[Any], sparsity: float, context: Context) -> float:
    """Prune `model` in place; return the share of zeros in its blocks' linear layers."""
    from potstill.compression.architecture import blocks_of
    from potstill.compression.walk import walk
    from potstill.compression.wanda import InputNorms, mask

    total = len(blocks_of(model)[1])
    zeros, weights = 0, 0
    for number, block in enumerate(walk(model, batches)):
        norms = block.record(lambda layer: InputNorms(layer.in_features, layer.weight.device))
        for path, layer in block.layers.items():
            layer.weight.data.mul_(mask(layer.weight.data, norms[path].norms(), sparsity))
            zeros += int((layer.weight.data == 0).sum())
            weights += layer.weight.numel()
        context.progress(number + 1, total, note=block.name)
    return zeros / max(weights, 1)
