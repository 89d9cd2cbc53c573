"""Quantize to int8 weights and activations (W8A8), smoothed, and with the most harmed layers left in 16 bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, publish_quantized, reference, writer_for
from potstill.steps.quantization.smoothing import Smoothing, smooth

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class QuantizeInt8(CalibratedStep):
    """Round to W8A8: int8 weights per output channel, int8 activations per token (Dettmers et al. 2022, section 2).

    Weights are rounded to nearest, which needs no data. Activations are quantized while serving, each token by its own
    absmax. With `calibration` their outliers first move into the weights (Xiao et al. 2022, equation 4), the few layers
    that 8 bits harm far more than others stay in 16, and the agreement with the 16-bit model is measured (activations
    quantized as in serving) and put into notes and card. Harm is the divergence of what the model puts out, to second
    order, from one backward pass over eight texts (`compression.quantization.int8_harm`). Embeddings, head, pooler and
    classifier stay 16-bit. Decoders load in vLLM and transformers, encoders (BERT) in transformers only; the format
    holds no GPT-2.

    >>> show(QuantizeInt8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    version: ClassVar[int] = 2  # calibration is used by default; strengths and layers are chosen by harm

    _: KW_ONLY
    smoothquant: Annotated[float, Interval(ge=0, le=1)] | Literal["search"] | None = "search"
    """Migration strength: how much of the activations' range moves into the weights, 0 none, 1 all; the paper takes 0.5
    for most models, behind norms. `search` takes the least harmful for each set of inputs, between feed-forward layers
    too, and moves nothing without `calibration` or where a model has no place for it; `None` moves nothing."""
    wide: Annotated[float, Interval(ge=0, le=1)] = 0.05
    """Share of the blocks' weights that may stay in 16 bits, which adds as large a share to their size: of the layers
    that read no norm those harmed at least three times as much as their weights' share, and none if 8 bits hardly harm
    the model. 0 or no `calibration` leaves none."""

    def check(self) -> Iterable[Problem]:
        """Yield that a strength was given, and no rows."""
        yield from super().check()
        if self.smoothquant not in (None, "search") and self.calibration is None:
            yield Problem("", "smoothquant", "needs calibration rows to see the activations: give calibration=")

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: the model can't be quantized, or the rows can't be used.
        """
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers, quantizable
        from potstill.compression.quantization.activations import quantized_activations

        loaded = folder.load(model, half=True)
        stored.refuse_other_layers(loaded.model, "compressed-tensors")
        before = reference(self, loaded, calibration) if calibration is not None else None
        smoothing = Smoothing()
        if before:
            smoothing = smooth(loaded.model, before.drawn, self.smoothquant, context, harm_of=self.wide > 0)
        layers = quantizable(block_layers(loaded.model))
        if self.smoothquant == "search" and before:
            context.notes["smoothquant"] = smoothing.strengths
        wide = self._left_wide(loaded.model, layers, smoothing.harm, context) if smoothing.harm else []
        writer, narrow = writer_for(loaded, context), []
        for path in [path for path in layers if path not in wide]:
            weight = smoothing.rounded(path, layers[path])
            layers[path].weight.data.copy_(weight.dequantize())
            narrow.append(layers[path])
            writer.add(path, weight)
        figures: dict[str, float] = {}
        if before:
            with quantized_activations(narrow):
                figures = before.measure(context)
        recipe = {
            "method": "W8A8, round to nearest",
            "weights": "int8 per channel",
            "activations": "int8 per token",
            **smoothing.recipe(),
            **(
                {"layers in 16 bits": f"{len(wide)}, {context.notes['wide']['share']:.1%} of the weights"}
                if wide
                else {}
            ),
        }
        return publish_quantized(loaded, writer, context, Card("int8", recipe, figures))

    def _left_wide(
        self, model: PretrainedModel, layers: Mapping[str, Any], harm: Mapping[str, float], context: Context
    ) -> list[str]:
        """Return the layers that stay in 16 bits; note them with the harms of all and the share of the weights."""
        from potstill.compression.architecture import architecture_of, blocks_of
        from potstill.compression.quantization.wide_layers import left_wide

        architecture, (path, modules) = architecture_of(model), blocks_of(model)
        # what reads a norm is smoothed, and a server fuses it with others, which would all have to stay
        names = (architecture.attended, architecture.down)
        may = {f"{path}.{number}.{name}" for number in range(len(modules)) for name in names}
        weights = {path: layer.weight.numel() for path, layer in layers.items()}
        total = sum(weights.values())
        # blocks of some models lack one of them, or have experts in its place; gates of experts keep 16 bits anyway
        own = {path: harm[path] for path in layers if path in harm}
        wide = left_wide(own, weights, may & own.keys(), int(self.wide * total))
        share = sum(weights[path] for path in wide) / total
        context.notes["wide"] = {"harms": dict(harm), "layers": wide, "share": share}
        return wide
