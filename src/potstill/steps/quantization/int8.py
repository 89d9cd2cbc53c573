"""Quantize to int8 weights and activations (W8A8), with SmoothQuant if wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, publish_quantized, reference, round_layers

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class QuantizeInt8(CalibratedStep):
    """Round to W8A8: int8 weights per output channel, int8 activations per token (Dettmers et al. 2022, section 2).

    Weights are rounded to nearest, which needs no data. Activations are quantized while serving, each token by its own
    absmax; with `smoothquant` their outliers first move into the weights (Xiao et al. 2022, equation 4). Embeddings,
    head, pooler and classifier stay 16-bit. With `calibration` the agreement with the 16-bit model is measured
    (activations quantized as in serving) and put into notes and card. Decoders load in vLLM and transformers, encoders
    (BERT) in transformers only; the format holds no GPT-2.

    >>> show(QuantizeInt8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    _: KW_ONLY
    smoothquant: Annotated[float, Interval(ge=0, le=1)] | None = None
    """Migration strength: how much of the activations' range moves into the weights, 0 none, 1 all; the paper takes 0.5
    for most models. `None` moves nothing; otherwise `calibration` is needed."""

    def check(self) -> Iterable[Problem]:
        """Yield that SmoothQuant needs rows."""
        yield from super().check()
        if self.smoothquant is not None and self.calibration is None:
            yield Problem("", "smoothquant", "needs calibration rows to see the activations: give calibration=")

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: the model can't be quantized, or the rows can't be used.
        """
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers
        from potstill.compression.quantization import rounding
        from potstill.compression.quantization.activations import quantized_activations

        loaded = folder.load(model, half=True)
        stored.refuse_other_layers(loaded.model, "compressed-tensors")
        before = reference(self, loaded, calibration) if calibration is not None else None
        layers = block_layers(loaded.model)
        if self.smoothquant is not None and before:
            quantized = smooth_layers(loaded.model, before.drawn.batches(), self.smoothquant, context)
        else:
            quantized = round_layers(layers, lambda weight: rounding.quantize(weight, 8, None, weight.dtype))
        figures: dict[str, float] = {}
        if before:
            with quantized_activations(list(layers.values())):
                figures = before.measure(context)
        recipe = {
            "method": "W8A8, round to nearest",
            "weights": "int8 per channel",
            "activations": "int8 per token",
            **({} if self.smoothquant is None else {"SmoothQuant alpha": self.smoothquant}),
        }
        return publish_quantized(loaded, quantized, context, Card("int8", recipe, figures))


def smooth_layers(model: PretrainedModel, batches: list[Any], alpha: float, context: Context) -> dict[str, Quantized]:
    """Smooth and round the linear layers of `model` in place; return the integers by path.

    The activations are those of the model before, since smoothing does not change what it computes.

    Raises:
        BadInput: the model's norms can't take the scales.
    """
    from potstill.compression.architecture import architecture_of, blocks_of
    from potstill.compression.layerwise import linear_layers, walk
    from potstill.compression.quantization import rounding, scale_folding, smoothquant

    folds, offset = scale_folding.behind_norms(model), architecture_of(model).norm_offset
    seen: dict[str, smoothquant.InputAbsmax] = {}
    path, modules = blocks_of(model)
    for number, block in enumerate(walk(model, batches)):
        seen |= block.record(lambda layer: smoothquant.InputAbsmax(layer.in_features, layer.weight.device))
        context.progress(number + 1, len(modules), note=block.name)
    quantized = {}
    for number, module in enumerate(modules):
        name = f"{path}.{number}"
        layers = linear_layers(module, name)
        divisors: dict[str, Any] = {}
        for fold in scale_folding.in_block(folds, module):
            readers = [f"{name}.{reader}" for reader in fold.readers]
            weights = [layers[reader].weight.data for reader in readers]
            scale = smoothquant.scales(seen[readers[0]].largest.to(weights[0].device), weights, alpha)
            norm = module.get_submodule(fold.source)
            divisors |= dict.fromkeys(readers, scale_folding.into_norm(norm, scale, offset))
        for reader, layer in layers.items():
            dtype = layer.weight.dtype
            weight = layer.weight.data.float() * divisors.get(reader, 1)
            quantized[reader] = rounding.quantize(weight, 8, None, dtype)
            layer.weight.data.copy_(quantized[reader].dequantize())
    return quantized
