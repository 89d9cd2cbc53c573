"""SmoothQuant over a whole model: what its norms put out divided, what reads it multiplied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.compression.block_parts import Fold
    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.steps.compression.calibration import Calibration


SEARCHED = 8
"""Calibration texts on which harms are measured: it takes about as long as measuring the agreement on 32."""


@dataclass
class Place:
    """A norm or layer that can be divided, and what reads it."""

    module: Any
    """The norm or the layer."""
    source: str
    """Its path."""
    readers: list[str]
    """Paths of the layers that read it."""
    strengths: list[float | None]
    """Strengths that are tried; `None` moves nothing."""
    scales: list[Tensor | None]
    """For each of them, the divisors of the outputs [O]."""


@dataclass
class Smoothing:
    """What a model's weights are multiplied by after what makes their inputs was divided."""

    columns: dict[str, Tensor] = field(default_factory=dict)
    """By path of a layer, the factors of its input features [I]."""
    rows: dict[str, Tensor] = field(default_factory=dict)
    """By path of a layer, the divisors of its output features [O]."""
    strengths: dict[str, float | None] = field(default_factory=dict)
    """By path of what the scales went into, the strength."""
    alpha: float | None = None
    """The strength, if it is the same for all."""
    harm: dict[str, float] = field(default_factory=dict)
    """By path of a layer, the KL divergence (nats a prediction) that its 8 bits cost, if it was measured."""

    def rounded(self, path: str, layer: Any) -> Quantized:
        """Return the smoothed weight of a `layer` in 8 bits, and leave it in the layer in 16."""
        from potstill.compression.quantization import rounding

        weight = layer.weight.data.float()
        if path in self.columns:
            weight = weight * self.columns[path]
        if path in self.rows:
            weight = weight / self.rows[path][:, None]
            if layer.bias is not None:
                layer.bias.data.copy_(layer.bias.data.float() / self.rows[path])
        # from float32: the 16-bit weight would be rounded twice
        quantized = rounding.quantize(weight, 8, None, layer.weight.dtype)
        layer.weight.data.copy_(weight)
        return quantized

    def fold(self, model: PretrainedModel, place: Place) -> None:
        """Divide what `place` puts out by its first scale, a norm's at once and a layer's when it is rounded."""
        from torch import nn

        from potstill.compression.architecture import architecture_of
        from potstill.compression.quantization import scale_folding

        self.strengths[place.source] = place.strengths[0]
        scale = place.scales[0]
        if scale is None:
            return
        if isinstance(place.module, nn.Linear):
            self.rows[place.source], divisor = scale, scale
        else:
            divisor = scale_folding.into_norm(place.module, scale, architecture_of(model).norm_offset)
        self.columns |= dict.fromkeys(place.readers, divisor)

    def recipe(self) -> dict[str, object]:
        """Return what a card says of it."""
        if self.alpha is not None:
            return {"SmoothQuant alpha": self.alpha}
        chosen = [strength for strength in self.strengths.values() if strength is not None]
        return {"SmoothQuant alpha": f"{min(chosen)} to {max(chosen)}, searched"} if chosen else {}


def smooth(
    model: PretrainedModel,
    drawn: Calibration,
    strength: float | Literal["search"] | None,
    context: Context,
    *,
    harm_of: bool = False,
) -> Smoothing:
    """Divide what the norms of `model` put out, in place; return what the weights are to be multiplied by.

    A number is the strength behind all norms, as in the paper; `search` takes for each place, between feed-forward
    layers too, the strength that does the least harm. The activations are those of the model before, since smoothing
    does not change what it computes.

    Args:
        model: in 16 bits.
        drawn: calibration texts.
        strength: how much of the activations' range moves into the weights.
        context: of the step.
        harm_of: whether the harm of each layer is needed, with a strength that is given, too.

    Raises:
        BadInput: the model's norms can't take the scales.
    """
    from potstill.compression.quantization import scale_folding
    from potstill.compression.quantization.smoothquant import STRENGTHS

    if strength == "search":
        places = _places(model, drawn, scale_folding.where_possible(model), (None, *STRENGTHS), context)
        harm_of = True
    else:
        folds = [] if strength is None else scale_folding.behind_norms(model)
        places = _places(model, drawn, folds, (strength,), context)
    smoothing = Smoothing(alpha=None if strength == "search" else strength)
    if harm_of:
        _choose(model, places, drawn, smoothing, context)
    for place in places:
        smoothing.fold(model, place)
    return smoothing


def _places(
    model: PretrainedModel,
    drawn: Calibration,
    folds: list[Fold],
    strengths: Sequence[float | None],
    context: Context,
) -> list[Place]:
    """Return the places of all blocks with their scales at each of the `strengths`."""
    from potstill.compression.architecture import blocks_of
    from potstill.compression.layerwise import walk
    from potstill.compression.quantization import scale_folding, smoothquant

    places: list[Place] = []
    total = len(blocks_of(model)[1])
    for number, block in enumerate(walk(model, drawn.batches()) if folds else ()):
        seen = block.record(lambda layer: smoothquant.InputAbsmax(layer.in_features, layer.weight.device))
        for fold in scale_folding.in_block(folds, block.module):
            readers = [f"{block.name}.{reader}" for reader in fold.readers]
            weights, largest = [block.layers[reader].weight.data for reader in readers], seen[readers[0]].largest
            scales = [
                None if one is None else smoothquant.scales(largest, weights, one).to(model.device) for one in strengths
            ]
            source = f"{block.name}.{fold.source}"
            places.append(Place(block.module.get_submodule(fold.source), source, readers, list(strengths), scales))
        context.progress(number + 1, total, note=block.name)
    return places


def _choose(
    model: PretrainedModel, places: list[Place], drawn: Calibration, smoothing: Smoothing, context: Context
) -> None:
    """Keep in each of the `places` the strength that harms least; add the harm of each layer to `smoothing`."""
    from potstill.compression.layerwise import block_layers
    from potstill.compression.quantization import int8_harm

    layers = block_layers(model)
    scales: dict[str, list[Tensor | None]] = {path: [None] for path in layers}
    for place in places:
        scales |= dict.fromkeys(place.readers, place.scales)
    texts = drawn.texts[:SEARCHED]
    harms = int8_harm.harms(
        model,
        layers,
        scales,
        texts,
        progress=lambda done: context.progress(done, len(texts), note="harm of 8 bits"),
    )
    best = dict.fromkeys(layers, 0)
    for place in places:
        sums = [sum(own) for own in zip(*(harms[reader] for reader in place.readers), strict=True)]
        least = sums.index(min(sums))
        best |= dict.fromkeys(place.readers, least)
        place.scales, place.strengths = [place.scales[least]], [place.strengths[least]]
    smoothing.harm = {path: own[best[path]] for path, own in harms.items()}
