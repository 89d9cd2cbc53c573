"""Low-rank approximation of linear layers by SVD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Interval

from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import FittedStep, calibration_columns, draw, publish
from potstill.steps.compression.loss_base import loss_batches

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.folder import Loaded
    from potstill.models.protocols import ModelSource
    from potstill.steps.compression.calibration import Calibration

STORED = "dense, since transformers and vLLM load no factors: no smaller and no faster as it is"


METHODS = {
    "whitened": "SVD of whitened weights (SVD-LLM, Wang et al. 2024)",
    "fisher": "SVD weighted by Fisher information (FWSVD, Hsu et al. 2022)",
    "plain": "SVD",
}


class LowRank(FittedStep):
    """Reduce the blocks' linear layers to a low rank by a weighted SVD.

    Block by block on the outputs of the blocks already reduced: closest in a layer's outputs (SVD-LLM, Wang et al.
    2024, section 3.1), or in its weights, rows weighted by their Fisher information (FWSVD, Hsu et al. 2022, section
    3), for which one gradient is taken. The folder holds the products of the factors
    as ordinary weights, because stock runtimes load no factors: it is neither smaller nor faster. Notes and card say
    what the factors alone would take. A layer whose rank is full stays as it is. Training afterwards would fill the
    rank again, so there is no `recover`.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(LowRank(student, calibration=rows, budget=0.5))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    label: str | None = None
    """Column of the classes, for a classifier; without it the loss is that of the next tokens of the answers."""
    budget: Annotated[float, Interval(gt=0, lt=1)] | None = None
    """Share of each layer's parameters that its two factors may take."""
    rank: Annotated[int, Ge(1)] | None = None
    """In place of `budget`: the rank of every layer, or its full rank where that is less."""
    method: Literal["whitened", "fisher", "plain"] = "whitened"
    """`whitened` is closest in the layers' outputs on the calibration rows, `fisher` in their weights by Fisher
    information (a classifier needs `label`), `plain` in their weights."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": calibration_columns(self, self.label)}

    def check(self) -> Iterable[Problem]:
        """Yield that there is no size to reach, or two."""
        yield from super().check()
        if (self.budget is None) == (self.rank is None):
            yield Problem("", "budget", "give either budget, a share of the parameters, or rank")

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Bring `model` to a low rank and write its folder."""
        from potstill.compression.agreement import compared, outputs

        loaded = folder.load(model)
        drawn = draw(self, loaded, calibration)
        before = outputs(loaded.model, drawn.measured)
        # before the loop: gradients of the unchanged model, taken for all layers at once
        rows = self._information(loaded, drawn, calibration, context)
        spared, ranks = self._reduce(loaded.model, drawn.batches(), rows, context)
        total = loaded.model.num_parameters()
        figures = compared(loaded.model, before, outputs(loaded.model, drawn.measured))
        parameters = {"before": total, "as factors": total - spared}
        context.notes |= {"calibration": drawn.figures(), "agreement": figures, "parameters": parameters}
        context.notes |= {"ranks": ranks, "storage": STORED}
        size = {"budget": self.budget} if self.budget is not None else {"rank": self.rank}
        recipe = {"method": METHODS[self.method], **size, "storage": STORED, "calibration rows": len(drawn.texts)}
        details = {**{f"calibration {name}": value for name, value in figures.items()}}
        details |= {f"parameters {name}": value for name, value in parameters.items()}
        return publish(loaded, context, "low rank", recipe, details)

    def _information(self, loaded: Loaded, drawn: Calibration, rows: Dataset, context: Context) -> Mapping[str, Tensor]:
        """Return the Fisher information of each layer's rows; of the other methods none."""
        if self.method != "fisher":
            return {}
        from potstill.compression.fisher import row_information
        from potstill.compression.layerwise import block_layers

        batches, total = loss_batches(loaded, drawn, rows, self.label), len(drawn.texts)
        layers = block_layers(loaded.model)
        return row_information(
            loaded.model, layers, batches, lambda done: context.progress(done, total, note="gradients")
        )

    def _reduce(
        self, model: PretrainedModel, batches: list[Tensor], rows: Mapping[str, Tensor], context: Context
    ) -> tuple[int, dict[str, int]]:
        """Change the weights; return the parameters that factors would spare, and the rank of each layer."""
        from potstill.compression.architecture import blocks_of
        from potstill.compression.layerwise import walk
        from potstill.compression.low_rank import Gram, factorize

        spared, ranks = 0, {}
        for number, block in enumerate(walk(model, batches)):
            grams = {}
            if self.method == "whitened":
                grams = block.record(lambda layer: Gram(layer.in_features, layer.weight.device))
            for path, layer in block.layers.items():
                ranks[path] = self._rank(layer)
                # what no later layer of the block shares is freed
                gram = grams.pop(path).total if grams else None
                # a full-rank product would change the weights by its rounding error only
                if ranks[path] < min(layer.weight.shape):
                    factors = factorize(layer.weight.data, ranks[path], gram, rows.get(path))
                    layer.weight.data.copy_(factors.product)
                    spared += layer.weight.numel() - factors.parameters
            context.progress(number + 1, len(blocks_of(model)[1]), note=block.name)
        return spared, ranks

    def _rank(self, layer: nn.Linear) -> int:
        """Return the rank that a layer is brought to."""
        from potstill.compression.low_rank import rank_within

        full = min(layer.weight.shape)
        if self.rank is not None:
            return min(self.rank, full)
        assert self.budget is not None, "the check has seen to it"
        return rank_within(layer.out_features, layer.in_features, self.budget)
