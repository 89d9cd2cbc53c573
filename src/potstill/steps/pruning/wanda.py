"""Wanda: pruning by weights and activations, without an update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.models import folder
from potstill.steps.pruning.unstructured import LayerwisePrune, measured

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class WandaPrune(LayerwisePrune):
    """Prune the blocks' linear layers by |weight| times input norm (Wanda, Sun et al. 2023, section 3).

    Block by block; embeddings and head stay. Within every output row the same share of weights becomes zero. The folder
    is a dense one: unstructured zeros make it neither smaller nor faster in vLLM or transformers. Notes hold the share
    of zeros, what formats for zeros would take, and the agreement with the unpruned model on the calibration answers
    (fitted to them, so optimistic).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(WandaPrune(student, calibration=rows, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    def run(self, model: Any, calibration: Dataset, context: Context) -> Path:
        """Prune `model` and write its folder.

        Raises:
            BadInput: the model can't be pruned in this way, or the calibration rows are of no use.
        """
        from potstill.compression.pruning.wanda import InputNorms, mask

        loaded = folder.load(model)
        figures = self.pruned(
            loaded,
            calibration,
            context,
            record=lambda layer: InputNorms(layer.in_features, layer.weight.device),
            change=lambda _, weight, kept: weight * mask(weight, kept.norms(), self.sparsity, self.nm),
        )
        recipe = {"method": "Wanda (Sun et al. 2023)", "calibration rows": context.notes["calibration"]["texts"]}
        return self.publish(loaded, measured(loaded.model), recipe, figures, context)
