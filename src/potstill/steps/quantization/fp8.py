"""Quantize to FP8 (E4M3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from potstill.models import folder
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, publish_quantized, reference, round_layers, writer_for

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class QuantizeFP8(CalibratedStep):
    """Round to W8A8 in FP8 (E4M3): weights per output channel, activations per token while serving.

    Micikevicius et al. 2022 (arXiv 2209.05433). Needs no data; with `calibration` the agreement with the 16-bit model
    is measured, activations rounded as in serving. Embeddings, head, pooler and classifier stay 16-bit. GPUs from
    compute capability 8.9 compute in FP8; vLLM on a CPU loads the folder and gains size alone. Encoders (BERT) load in
    transformers only; the format holds no GPT-2.

    >>> show(QuantizeFP8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: the model can't be quantized, or the rows can't be used.
        """
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers, quantizable
        from potstill.compression.quantization import fp8
        from potstill.compression.quantization.activations import quantized_activations

        loaded = folder.load(model, half=True)
        stored.refuse_other_layers(loaded.model, "compressed-tensors")
        stored.refuse_floats(loaded.model)
        before = reference(self, loaded, calibration) if calibration is not None else None
        layers = quantizable(block_layers(loaded.model))
        writer = writer_for(loaded, context)
        writer.add_all(round_layers(layers, lambda weight: fp8.quantize(weight, weight.dtype)))
        figures: dict[str, float] = {}
        if before:
            # kernels round activations at run time; the model in memory must do so too for an honest agreement
            with quantized_activations(list(layers.values()), fp8.fake_quantize_tokens):
                figures = before.measure(context)
        recipe = {"method": "W8A8 in FP8 (E4M3)", "weights": "FP8 per channel", "activations": "FP8 per token"}
        return publish_quantized(loaded, writer, context, Card("FP8", recipe, figures))
