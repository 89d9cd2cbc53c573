"""Quantize to int8 weights and activations (W8A8), smoothed, and with the most harmed layers left in 16 bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Interval

from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, Reference, publish_quantized, reference
from potstill.steps.quantization.smoothing import Smoothing, smooth

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

TRIED = 2
"""Calibration texts that layers are tried on one by one, each trial half a pass over the model: the divergences that
matter are ten times the others."""


class QuantizeInt8(CalibratedStep):
    """Round to W8A8: int8 weights per output channel, int8 activations per token (Dettmers et al. 2022, section 2).

    Weights are rounded to nearest, which needs no data. Activations are quantized while serving, each token by its own
    absmax. With `smoothquant` their outliers first move into the weights (Xiao et al. 2022, equation 4); with `wide`
    the few layers that 8 bits harm most stay in 16. With `calibration` the agreement with the 16-bit model is measured
    (activations quantized as in serving) and put into notes and card. Embeddings, head, pooler and classifier stay
    16-bit. Decoders load in vLLM and transformers, encoders (BERT) in transformers only; the format holds no GPT-2.

    >>> show(QuantizeInt8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    _: KW_ONLY
    smoothquant: Annotated[float, Interval(ge=0, le=1)] | Literal["search"] | None = None
    """Migration strength: how much of the activations' range moves into the weights, 0 none, 1 all; the paper takes 0.5
    for most models, behind norms. `search` finds it for each set of inputs, between feed-forward layers too. `None`
    moves nothing; otherwise `calibration` is needed."""
    wide: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of the blocks' weights that may stay in 16 bits: the layers that read no norm and are harmed most, if they
    are harmed at all; 0.05 adds a twentieth to the size of the blocks. Needs `calibration`. None by default, as trying
    each layer takes as long as reading two texts with half the model, once for every layer."""

    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"wide"})

    def check(self) -> Iterable[Problem]:
        """Yield what needs rows and has none."""
        yield from super().check()
        for name in ("smoothquant", "wide"):
            if getattr(self, name) not in (None, 0.0) and self.calibration is None:
                yield Problem("", name, "needs calibration rows to see the activations: give calibration=")

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
        smoothing = self._smoothing(loaded.model, before, context) if before else Smoothing()
        layers = quantizable(block_layers(loaded.model))
        quantized = {path: smoothing.rounded(path, layer) for path, layer in layers.items()}
        if before and self.wide:
            self._leave_wide(loaded.model, quantized, before, context)
        for path, weight in quantized.items():
            layers[path].weight.data.copy_(weight.dequantize())
        figures: dict[str, float] = {}
        if before:
            with quantized_activations([layers[path] for path in quantized]):
                figures = before.measure(context)
        recipe = {
            "method": "W8A8, round to nearest",
            "weights": "int8 per channel",
            "activations": "int8 per token",
            **smoothing.recipe(),
            **({"layers in 16 bits": len(layers) - len(quantized)} if len(layers) > len(quantized) else {}),
        }
        return publish_quantized(loaded, quantized, context, Card("int8", recipe, figures))

    def _smoothing(self, model: PretrainedModel, before: Reference, context: Context) -> Smoothing:
        """Smooth `model` as `smoothquant` says.

        Raises:
            BadInput: the model's norms can't take the scales.
        """
        if self.smoothquant is None:
            return Smoothing()
        if self.smoothquant != "search":
            return smooth(model, before.drawn.batches(), self.smoothquant, context)
        smoothing = smooth(model, before.drawn.batches(), None, context)
        context.notes["smoothquant"] = smoothing.strengths
        return smoothing

    def _leave_wide(
        self, model: PretrainedModel, quantized: dict[str, Quantized], before: Reference, context: Context
    ) -> None:
        """Take out of `quantized` the layers that stay in 16 bits; note what each layer that was tried costs."""
        from potstill.compression.architecture import architecture_of, blocks_of
        from potstill.compression.quantization import wide_layers

        architecture, (path, modules) = architecture_of(model), blocks_of(model)
        # what reads a norm is smoothed, and a server fuses it with others, which would all have to stay
        names = (architecture.attended, architecture.down)
        tried = [f"{path}.{number}.{name}" for number in range(len(modules)) for name in names]
        # blocks of some models lack one of them, or have experts in its place
        tried = [path for path in tried if path in quantized]
        harm = wide_layers.harms(
            model,
            {path: quantized[path] for path in tried},
            before.drawn.texts[:TRIED],
            lambda done, total: context.progress(done, total, note="16 bits or 8"),
        )
        weights = {path: weight.values.numel() for path, weight in quantized.items()}
        wide = wide_layers.left_wide(harm, weights, int(self.wide * sum(weights.values())))
        for path in wide:
            del quantized[path]
        context.notes["wide"] = {"harms": harm, "layers": wide}
