"""LLM.int8(): int8 with outlier features in half precision, for transformers."""

from __future__ import annotations

from dataclasses import KW_ONLY
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.compression.quantization_config import BITSANDBYTES
from potstill.models import folder as checkpoint
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, publish_as, reference, round_layers

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class LLMInt8(CalibratedStep):
    """Round to int8 with outlier features kept in half precision: LLM.int8() (Dettmers et al. 2022, section 3).

    Weights are int8 per output channel; while running, input features with a magnitude of `threshold` or more stay in
    half precision and all others are rounded token by token. The folder is in bitsandbytes' format, written by our own
    code, and loads in transformers (on CPU and GPU), not in vLLM: there, use QuantizeInt8. As in that library all
    columns are stored as int8, and those of outliers are multiplied as the half-precision numbers they stand for.
    Embeddings, head, pooler and classifier stay 16-bit. GPT-2's layers are held too, Falcon's are not. With
    `calibration` the agreement is measured.

    >>> show(LLMInt8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    _: KW_ONLY
    threshold: Annotated[float, Ge(0)] = 6.0
    """Magnitude from which an input feature is an outlier; the paper's 6. 0 keeps all inputs in half precision."""

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: the model can't be quantized, or the rows can't be used.
        """
        import torch

        from potstill.compression.formats import bitsandbytes
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers
        from potstill.compression.quantization import llm_int8, rounding
        from potstill.compression.quantization.activations import quantized_activations

        loaded = checkpoint.load(model, half=True)
        stored.refuse_other_layers(loaded.model, BITSANDBYTES)
        before = reference(self, loaded, calibration) if calibration is not None else None
        layers = block_layers(loaded.model)
        # float32 scales: bitsandbytes stores SCB so
        writer = stored.CheckpointWriter(loaded.model, context.out)
        for path, weight in round_layers(layers, lambda weight: rounding.quantize(weight, 8, None, torch.float32)):
            writer.add(path, bitsandbytes.int8_tensors(weight))
        figures: dict[str, float] = {}
        if before:
            rounded = partial(llm_int8.fake_quantize_inputs, threshold=self.threshold)
            with quantized_activations(list(layers.values()), rounded):
                figures = before.measure(context)
        others = stored.other_linear_layers(loaded.model, writer.layers)
        writer.finish(bitsandbytes.int8_config(self.threshold, others), loaded.model.dtype)
        recipe = {"method": "LLM.int8()", "weights": "int8 per channel", "outliers from": self.threshold}
        return publish_as(loaded, context, Card("LLM.int8()", recipe, figures, BITSANDBYTES))
