"""SparseGPT: pruning with error compensation, and optional quantization of the surviving weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from potstill.compression.pruning.nm_pattern import parse
from potstill.engine.step import Step
from potstill.errors import BadInput, Problem, RequestError
from potstill.models import folder
from potstill.steps.pruning.unstructured import (
    NO_GAIN,
    LayerwisePrune,
    check_pattern,
    measure_zeros,
    prune_blocks,
    publish_pruned,
)
from potstill.steps.quantization.base import Card, naming_layer, publish_quantized, reference, writer_for
from potstill.steps.quantization.int4 import check_widths

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.sparsegpt import Rounding
    from potstill.compression.quantization.gptq import Hessian
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class SparseGPTPrune(LayerwisePrune):
    """Prune the blocks' linear layers, compensated in the weights that stay (Frantar and Alistarh 2023).

    arXiv 2301.00774, algorithm 1: column by column with GPTQ's solver; the mask is chosen for 128 columns at once, or
    group by group with a `pattern`. No layer's error on the calibration tokens is above that of Wanda's or the
    magnitude's mask. With `bits` the same pass quantizes what survives (section 3.5). Without, the folder is a dense
    one: neither smaller nor faster in vLLM or transformers. Notes hold the share of zeros, what formats for zeros would
    take, and the agreement with the unpruned model on the calibration answers (fitted to them, so optimistic).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(SparseGPTPrune(student, calibration=rows, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    _: KW_ONLY
    bits: Literal[4, 8] | None = None
    """Quantize what survives: 4 to W4A16 in groups, 8 to W8A8 by row, as `QuantizeInt4` and `QuantizeInt8` store them;
    not for GPT-2. None leaves it as it is."""
    group_size: Literal[32, 64, 128] = 32
    """Inputs that share a scale at 4 bits."""
    damping: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the Hessian's mean diagonal that is added to it; the paper's 1 %."""

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step.

        Raises:
            RequestError: what is quantized is to be trained.
        """
        if self.bits is not None and self.recover is not None:
            text = (
                f"is {self.bits}, but quantized weights can't be trained: leave it out, and quantize what is recovered"
            )
            raise RequestError(Problem(self.name or type(self).__name__, "bits", text))
        return super().expanded()

    def _check_layers(self, layers: Mapping[str, Any]) -> None:
        """Make sure that pattern and groups fit the `layers`, by path.

        Raises:
            BadInput: they don't.
        """
        from potstill.compression.layerwise import quantizable

        check_pattern(layers, self.pattern)
        if self.bits == 4:
            shapes = {path: tuple(layer.weight.shape) for path, layer in quantizable(layers).items()}
            check_widths(shapes, self.group_size)

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Prune `model` and write its folder.

        Raises:
            BadInput: the model can't be pruned in this way, the calibration rows are of no use, or the activations have
                no Hessian that can be inverted.
        """
        from potstill.compression.expert_layers import is_gate
        from potstill.compression.layerwise import block_layers
        from potstill.compression.pruning.sparsegpt import prune_layer
        from potstill.compression.quantization.gptq import Hessian

        # 16-bit only where it is stored so: the integers' scales are in the model's own type
        loaded = folder.load(model, half=self.bits is not None)
        self._check_type(loaded.model)
        self._check_layers(block_layers(loaded.model))
        before, pattern = reference(self, loaded, calibration), parse(self.pattern)
        writer = None if self.bits is None else writer_for(loaded, context)

        def change(path: str, weight: Tensor, hessian: Hessian) -> Tensor:
            rounding = None if is_gate(path) else self._rounding(weight)
            with naming_layer(path, hessian, self.damping, context):
                pruned = prune_layer(weight, hessian, self.sparsity, pattern, self.damping, rounding)
            if writer is not None and pruned.quantized is not None:
                writer.add(path, pruned.quantized)
            return pruned.weight

        prune_blocks(
            loaded.model,
            before.drawn,
            record=lambda layer: Hessian(layer.in_features, layer.weight.device),
            change=change,
            context=context,
        )
        figures = before.measure(context)
        recipe: dict[str, object] = {
            "method": "SparseGPT (Frantar and Alistarh 2023)",
            "calibration rows": len(before.drawn.texts),
            "damping": self.damping,
        }
        # stored as integers a zero takes as many bits as any value, so the sizes of sparse formats are noted only here
        if writer is None:
            return publish_pruned(loaded, recipe, figures, context, sparsity=self.sparsity, pattern=self.pattern)
        zeros = measure_zeros(loaded.model).sparsity
        context.notes |= {"sparsity": zeros}
        stored = f"int4 in groups of {self.group_size}" if self.bits == 4 else "int8 per channel, activations per token"
        recipe |= {"sparsity": self.sparsity, "pattern": self.pattern, "weights": stored, "storage": NO_GAIN}
        card = Card(f"{self.sparsity:.0%} pruned, int{self.bits}", {**recipe, "zeros": f"{zeros:.2%}"}, figures)
        return publish_quantized(loaded, writer, context, card)

    def _check_type(self, model: PretrainedModel) -> None:
        """Make sure that the model can be stored quantized, if it is to be.

        Raises:
            BadInput: it can't.
        """
        from potstill.compression.architecture import stores_transposed
        from potstill.compression.formats.checkpoint import refuse_other_layers

        if self.bits is not None and stores_transposed(model):
            raise BadInput(
                f"a model of type {model.config.model_type!r} has no linear layers that compressed-tensors could "
                "store, so what survives can't be quantized: leave bits out"
            )
        if self.bits is not None:
            refuse_other_layers(model, "compressed-tensors", self.bits)

    def _rounding(self, weight: Tensor) -> Rounding | None:
        from potstill.compression.pruning.sparsegpt import Rounding

        if self.bits is None:
            return None
        return Rounding(self.bits, self.group_size if self.bits == 4 else None, weight.dtype)
