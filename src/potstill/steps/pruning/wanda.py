"""Wanda: pruning by weights and activations, without an update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from potstill.compression.pruning.nm_pattern import parse
from potstill.models import folder
from potstill.steps.pruning.unstructured import LayerwisePrune, check_pattern, prune_blocks, publish_pruned
from potstill.steps.quantization.base import reference

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class WandaPrune(LayerwisePrune):
    """Prune the blocks' linear layers by |weight| times input norm (Wanda, Sun et al. 2023, section 3).

    Block by block; embeddings and head stay. Of an encoder-decoder first the encoder's blocks, then the decoder's,
    whose cross-attention reads what the pruned encoder puts out. Within every output row the same share of weights
    becomes zero. The folder is a dense one: unstructured zeros make it neither smaller nor faster in vLLM or
    transformers. Notes hold the share of zeros, what formats for zeros would take, and the agreement with the unpruned
    model on the calibration answers (fitted to them, so optimistic).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(WandaPrune(student, calibration=rows, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Prune `model` and write its folder.

        Raises:
            BadInput: the model can't be pruned in this way, or the calibration rows are of no use.
        """
        from potstill.compression.layerwise import block_layers
        from potstill.compression.pruning.wanda import InputNorms, mask

        loaded, pattern = folder.load(model), parse(self.pattern)
        check_pattern(block_layers(loaded.model), self.pattern)
        before = reference(self, loaded, calibration)
        prune_blocks(
            loaded.model,
            before.drawn,
            record=lambda layer: InputNorms(layer.in_features, layer.weight.device),
            change=lambda _, weight, statistics: weight * mask(weight, statistics.norms(), self.sparsity, pattern),
            context=context,
        )
        figures = before.measure(context)
        recipe = {"method": "Wanda (Sun et al. 2023)", "calibration rows": len(before.drawn.texts)}
        return publish_pruned(loaded, recipe, figures, context, sparsity=self.sparsity, pattern=self.pattern)
