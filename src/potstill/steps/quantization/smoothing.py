"""SmoothQuant over a whole model: what its norms put out divided, what reads it multiplied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context


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

    def recipe(self) -> dict[str, object]:
        """Return what a card says of it."""
        if self.alpha is not None:
            return {"SmoothQuant alpha": self.alpha}
        chosen = [strength for strength in self.strengths.values() if strength is not None]
        return {"SmoothQuant alpha": f"{min(chosen)} to {max(chosen)}, searched"} if chosen else {}


def smooth(model: PretrainedModel, batches: list[Any], alpha: float | None, context: Context) -> Smoothing:
    """Divide what the norms of `model` put out, in place; return what the weights are to be multiplied by.

    With an `alpha` behind norms only, as the paper does; without, each place has the strength that is best for it. The
    activations are those of the model before, since smoothing does not change what it computes.

    Raises:
        BadInput: the model's norms can't take the scales.
    """
    from torch import nn

    from potstill.compression.architecture import architecture_of, blocks_of
    from potstill.compression.layerwise import walk
    from potstill.compression.quantization import scale_folding, smoothquant

    folds = scale_folding.everywhere(model) if alpha is None else scale_folding.behind_norms(model)
    kind = smoothquant.Sample if alpha is None else smoothquant.InputAbsmax
    made, total = Smoothing(alpha=alpha), len(blocks_of(model)[1])
    scales: list[tuple[Any, str, list[str], Tensor]] = []
    for number, block in enumerate(walk(model, batches)):
        seen = block.record(lambda layer: kind(layer.in_features, layer.weight.device))
        for fold in scale_folding.in_block(folds, block.module):
            readers = [f"{block.name}.{reader}" for reader in fold.readers]
            weights, inputs = [block.layers[reader].weight.data for reader in readers], seen[readers[0]]
            source, strength = f"{block.name}.{fold.source}", alpha
            if isinstance(inputs, smoothquant.Sample):
                scale, strength = smoothquant.search(inputs, weights)
            else:
                scale = smoothquant.scales(inputs.largest, weights, alpha or 0.0)
            made.strengths[source] = strength
            scales.append((block.module.get_submodule(fold.source), source, readers, scale.to(model.device)))
        context.progress(number + 1, total, note=block.name)
    # only now: the next block's inputs must be those of the model before
    for module, source, readers, scale in scales:
        if isinstance(module, nn.Linear):
            made.rows[source], divisor = scale, scale
        else:
            divisor = scale_folding.into_norm(module, scale, architecture_of(model).norm_offset)
        made.columns |= dict.fromkeys(readers, divisor)
    return made
