"""Quantization with layer-by-layer distillation: each block is trained to reproduce its full-precision outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt

from potstill.models import folder
from potstill.steps.compression.base import FittedStep
from potstill.steps.quantization.base import Card, against_rounding, publish_quantized, reference, writer_for
from potstill.steps.quantization.int4 import check_widths, note_processor

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.compression.quantization.straight_through import FakeQuantization
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class LayerwiseDistill(FittedStep):
    """Quantize block by block, each trained to reproduce the full-precision block's outputs (ZeroQuant, Yao 2022).

    The layer-by-layer knowledge distillation of the paper: the weights of one block learn through their rounding, by
    the mean squared error of its outputs on the calibration texts, which come through the blocks already quantized. No
    labels, no second model, and the optimizer of one block only. A block that training doesn't improve is rounded.
    W4A16 or W8A8 (activations quantized per token, in training too), in a folder that vLLM and transformers load.
    Embeddings and head stay 16-bit. Notes hold each block's error before and after, and the agreement with the 16-bit
    model on the calibration answers (optimistic, since the weights were fitted to them).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(LayerwiseDistill(student, calibration=rows, passes=2))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 7}
    """

    _: KW_ONLY
    bits: Literal[4, 8] = 4
    """Bits of a weight; with 8 the activations have 8 bits too."""
    group_size: Literal[32, 64, 128] = 32
    """Of `bits=4`: input features that share a scale."""
    passes: Annotated[int, Ge(1)] = 10
    """Epochs of each block over the calibration texts."""
    learning_rate: Annotated[float, Gt(0)] = 1e-4
    """Learning rate of a block's weights at the start; a tenth of the usual one or less, as they start from a
    solution."""

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: a layer's width does not fit the format, or the calibration can't be used.
        """
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers, quantizable

        loaded = folder.load(model, half=True)
        stored.refuse_other_layers(loaded.model, "compressed-tensors", self.bits)
        if self.bits == 4:
            layers = quantizable(block_layers(loaded.model))
            check_widths({path: tuple(layer.weight.shape) for path, layer in layers.items()}, self.group_size)
            note_processor(context)
        before = reference(self, loaded, calibration)
        writer = writer_for(loaded, context)
        with ExitStack() as served:
            writer.add_all(self._distilled(loaded.model, before.drawn.batches(), context, served))
            figures = before.measure(context)
        blocks = context.notes["blocks"]
        ratios = {one["block"]: one["distilled"] / max(one["rounded"], 1e-12) for one in blocks}
        figures |= against_rounding(ratios, context)
        weights = f"int4 in groups of {self.group_size}" if self.bits == 4 else "int8 per channel"
        recipe = {
            "method": "layer-by-layer distillation (ZeroQuant, Yao et al. 2022)",
            "weights": weights,
            "activations": "16-bit" if self.bits == 4 else "int8 per token",
            "passes": self.passes,
            "calibration rows": len(before.drawn.texts),
        }
        return publish_quantized(loaded, writer, context, Card(f"int{self.bits}", recipe, figures))

    def _distilled(
        self, model: PretrainedModel, batches: list[Any], context: Context, served: ExitStack
    ) -> Iterator[tuple[str, Quantized]]:
        """Quantize the blocks of `model` in place; yield path and integers.

        While `served` is open, finished blocks quantize their activations as they will when they are served.
        """
        from potstill.compression.architecture import blocks_of
        from potstill.compression.layerwise import quantizable, walk
        from potstill.compression.quantization.activations import quantized_activations
        from potstill.compression.quantization.layerwise_distill import distill_block

        total, fake = len(blocks_of(model)[1]), self._fake(model.dtype)
        errors = []
        for number, block in enumerate(walk(model, batches)):
            distilled = distill_block(block, fake, self.passes, self.learning_rate)
            yield from distilled.quantized.items()
            errors.append({"block": block.name, "rounded": distilled.rounded_error, "distilled": distilled.error})
            if self.bits == 8:
                # later blocks then train on what int8 kernels will feed them
                served.enter_context(quantized_activations(list(quantizable(block.layers).values())))
            context.progress(number + 1, total, note=block.name)
        context.notes["blocks"] = errors

    def _fake(self, dtype: torch.dtype) -> FakeQuantization:
        """Return what the layers compute with."""
        from functools import partial

        from potstill.compression.quantization import rounding
        from potstill.compression.quantization.straight_through import FakeQuantization

        group = self.group_size if self.bits == 4 else None
        quantize = partial(rounding.quantize, bits=self.bits, group_size=group, scale_type=dtype)
        return FakeQuantization(quantize, None if self.bits == 4 else 8)
