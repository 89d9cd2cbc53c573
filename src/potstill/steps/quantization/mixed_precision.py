"""Mixed precision: more bits for the layers that need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from potstill.errors import BadInput, Problem
from potstill.models import folder
from potstill.steps.compression.base import FittedStep
from potstill.steps.quantization.base import Card, Reference, publish_quantized, reference, writer_for
from potstill.steps.quantization.int4 import check_widths, note_processor

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.bit_allocation import Choice
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

Bits = Literal[4, 8, 16]
"""What a layer can be stored in: int4 weights in groups, int8 weights and activations, or as it is."""


class MixedPrecision(FittedStep):
    """Store each layer in as many bits as it needs: least harm within a bit budget (HAWQ-V3, Yao et al. 2020).

    As there, harms add up and choosing is an integer program; a harm is the KL divergence on the calibration texts when
    that layer alone is rounded to 4 bits (W4A16 in groups of 32), to 8 (W8A8), or left in 16. Layers that a server
    fuses (query, key and value; gate and up) get the same bits. The chosen layers of 4 bits are then quantized by GPTQ,
    those of 8 rounded to nearest. Loads in vLLM and transformers, encoders in transformers only; the format holds no
    GPT-2. Notes hold the whole table.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(MixedPrecision(student, calibration=rows, bits=6))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 9}
    """

    version: ClassVar[int] = 4  # harms by curvature (3); GPTQ cuts off the range of groups

    _: KW_ONLY
    bits: Annotated[float, Interval(ge=4, le=16)] = 6.0
    """Budget: mean bits a weight of the blocks' linear layers, with scales; int4 takes 4.5, int8 a little over 8."""
    choices: tuple[Bits, ...] = (4, 8)
    """What a layer can get."""
    allocation: Literal["knapsack", "greedy", "order"] = "knapsack"
    """`knapsack` is exact for harms that add up; `greedy` goes by the best ratio of harm to bits; `order` gives the
    first layers the most, regardless of harm: a control at the same size."""
    sensitivity: Literal["curvature", "trial"] = "curvature"
    """How harms are found: to second order, in one backward pass over the texts for all layers (`compression.curvature`
    says how); or by `trial`, a pass over 32 texts at most for every layer and choice, whose time grows with the square
    of the depth."""
    damping: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the Hessian's mean diagonal that is added to it (GPTQ); the paper's 1 %."""

    def check(self) -> Iterable[Problem]:
        """Yield that there is nothing to choose from."""
        yield from super().check()
        if len(set(self.choices)) < 2:
            yield Problem("", "choices", f"{self.choices} leave nothing to choose: give at least two of 4, 8 and 16")

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Measure, choose, quantize and write the folder.

        Raises:
            BadInput: the budget is too low, a width does not fit, or the calibration can't be used.
        """
        from potstill.compression.quantization.activations import quantized_activations

        loaded = folder.load(model, half=True)
        layers = self._layers(loaded.model, context)
        before = reference(self, loaded, calibration)
        bits_of, mean = self._given(layers, before, context)
        writer = writer_for(loaded, context)
        writer.add_all(quantize_by(loaded.model, before.drawn.batches(), bits_of, self.damping))
        # layers in 8 bits are served with 8-bit activations, whose error belongs to the figures too
        with quantized_activations([layers[path] for path, bits in bits_of.items() if bits == 8]):
            figures = before.measure(context)
        counts = {bits: list(bits_of.values()).count(bits) for bits in self._bits}
        recipe = {
            "method": f"mixed precision by {self.allocation}",
            "mean bits": mean,
            "layers": ", ".join(f"{count} in {bits} bits" for bits, count in counts.items()),
        }
        return publish_quantized(loaded, writer, context, Card(f"{mean:.1f} bits", recipe, figures))

    @property
    def _bits(self) -> list[int]:
        """The choices, least first."""
        return sorted(set(self.choices))

    def _layers(self, model: PretrainedModel, context: Context) -> dict[str, Any]:
        """Return the layers to quantize, by path.

        Raises:
            BadInput: the format does not hold them.
        """
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers, quantizable
        from potstill.compression.quantization import sensitivity

        stored.refuse_other_layers(model, "compressed-tensors", min(self.choices))
        layers = quantizable(block_layers(model))
        if 4 in self.choices:
            check_widths({path: tuple(layer.weight.shape) for path, layer in layers.items()}, sensitivity.GROUP)
            note_processor(context)
        return layers

    def _given(self, layers: Mapping[str, Any], before: Reference, context: Context) -> tuple[dict[str, int], float]:
        """Return the bits of each layer by path and their mean, after the table of harms is measured and noted.

        Raises:
            BadInput: the budget leaves no choice.
        """
        from potstill.compression.quantization import sensitivity

        # vLLM merges q, k, v (gate, up) into one matrix, which has one scheme
        units = sensitivity.fused_units(before.loaded.model)
        parts = [{path: layers[path] for path in unit} for unit in units]
        harms = (self._tried if self.sensitivity == "trial" else self._curved)(parts, before, context)
        table = sensitivity.table(parts, self._bits, harms)
        weights = sum(layer.weight.numel() for layer in layers.values())
        chosen = self._chosen(table, weights)
        context.notes["sensitivity"] = [
            {
                "layers": unit,
                "bits": self._bits[pick],
                "kl": {str(bits): choice.harm for bits, choice in zip(self._bits, row, strict=True)},
            }
            for unit, row, pick in zip(units, table, chosen, strict=True)
        ]
        bits_of = {path: self._bits[pick] for unit, pick in zip(units, chosen, strict=True) for path in unit}
        if set(bits_of.values()) == {16}:
            raise BadInput(f"with {self.bits} bits every layer stays in 16: lower bits, or use CastHalf")
        return bits_of, sum(row[pick].cost for row, pick in zip(table, chosen, strict=True)) / weights

    def _tried(self, parts: Sequence[Mapping[str, Any]], before: Reference, context: Context) -> list[list[float]]:
        """Return the harm of each part at each of the bits, measured one by one."""
        from potstill.compression.quantization import sensitivity

        model, texts, harms = before.loaded.model, before.drawn.measured, []
        for number, part in enumerate(parts):
            harms.append(sensitivity.divergences(model, part, self._bits, texts, before.outputs))
            context.progress(number + 1, len(parts), note=next(iter(part)))
        return harms

    def _curved(self, parts: Sequence[Mapping[str, Any]], before: Reference, context: Context) -> list[list[float]]:
        """Return the same to second order."""
        from potstill.compression.quantization import curvature

        texts = before.drawn.texts
        return curvature.divergences(
            before.loaded.model, parts, self._bits, texts, self.seed, lambda done: context.progress(done, len(texts))
        )

    def _chosen(self, table: Sequence[Sequence[Choice]], weights: int) -> list[int]:
        """Return the number of the choice for each unit.

        Raises:
            BadInput: the budget is below the least possible.
        """
        from potstill.compression.quantization import bit_allocation as allocation

        least, budget = allocation.cheapest(table), int(self.bits * weights)
        if budget < least:
            text = f"{self.bits} bits a weight are below {least / weights:.3f}, the least that {self.choices} take"
            raise BadInput(Problem("", "bits", f"{text} with scales: raise bits"))
        # all three fill the same budget; they are there to be compared, the exact one is the default
        ways = {"knapsack": allocation.knapsack, "greedy": allocation.greedy, "order": allocation.in_order}
        return ways[self.allocation](table, budget)


def quantize_by(
    model: PretrainedModel, batches: list[Any], bits_of: Mapping[str, int], damping: float
) -> Iterator[tuple[str, Quantized]]:
    """Quantize the layers of `model` in place to the `bits_of` each path: 4 by GPTQ, 8 to nearest; 16 stay.

    Yields path and integers.
    """
    from potstill.compression.layerwise import quantizable, sharing, walk
    from potstill.compression.quantization.gptq import Hessian, quantize_layer, sees_few
    from potstill.compression.quantization.sensitivity import GROUP, rounded_to

    for block in walk(model, batches):
        hessians = block.record(lambda layer: Hessian(layer.in_features, layer.weight.device))
        for hessian, together in sharing(hessians):
            for path, layer in quantizable({path: block.layers[path] for path in together}).items():
                weight, bits = layer.weight.data, bits_of[path]
                if bits == 16:
                    continue
                # to nearest at 8 bits: its error is a small part of what GPTQ saves at 4
                quantized = (
                    quantize_layer(weight, hessian, 4, GROUP, damping, weight.dtype)
                    if bits == 4 and not sees_few(path, hessian)
                    else rounded_to(weight, bits)
                )
                weight.copy_(quantized.dequantize())
                yield path, quantized
            hessian.forget_inverses()
