"""Shared by quantizing steps: measuring, rounding, and writing the folder with its card."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.compression.quantization_config import BITSANDBYTES
from potstill.errors import BadInput
from potstill.models.card import name_of, write_card
from potstill.models.folder import Loaded
from potstill.models.written import check_answers
from potstill.steps.compression import calibration as calibrations
from potstill.steps.compression.base import CalibratedStep, draw, warn

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.formats.compressed_tensors import CompressedTensorsWriter
    from potstill.compression.quantization.gptq import Hessian
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context

COMPRESSED_TENSORS = "compressed-tensors"
"""Name of the format that vLLM loads."""
EXPERTS_RUN_IN = "vLLM on a GPU, and Potstill; transformers loads experts in FP8 and in int4 without zero points only"
"""Who runs quantized experts: vLLM's kernels for a CPU want AMX."""
LEAST_RATIO = 1e-9
"""Least ratio of two errors that a mean takes."""
ROUNDED = 0.6
"""Relative distance of logits to those of the weights that were stored, which rounding activations to 8 bits explains,
in a model that amplifies it; weights that are read in another order or with other scales give one above 1."""


@dataclass(frozen=True)
class Reference:
    """Outputs of the original model on the calibration texts."""

    loaded: Loaded
    """The model, which is changed after this."""
    drawn: calibrations.Calibration
    """The texts."""
    outputs: list[Any]
    """Per text, see `compression.agreement.outputs`."""

    def measure(self, context: Context) -> dict[str, float]:
        """Return and note the agreement with the original model."""
        from potstill.compression.agreement import compared, outputs

        # the rounded weights are in the model by now: what is measured is what the folder will hold
        figures = compared(self.loaded.model, self.outputs, outputs(self.loaded.model, self.drawn.measured))
        context.notes |= {"calibration": self.drawn.figures(), "agreement": figures}
        warn(figures, context)
        return figures


def reference(step: CalibratedStep, loaded: Loaded, rows: Dataset) -> Reference:
    """Draw the calibration texts of `step`, and record the model's outputs on them.

    Raises:
        BadInput: there are no usable rows, too few tokens, or the model can't read them.
    """
    from potstill.compression.agreement import outputs

    drawn = draw(step, loaded, rows)
    return Reference(loaded, drawn, outputs(loaded.model, drawn.measured))


@contextmanager
def naming_layer(path: str, hessian: Hessian, damping: float, context: Context) -> Iterator[None]:
    """Add the layer's `path` to errors of its `hessian`, and note one that needed more than `damping`.

    Raises:
        BadInput: it is not finite, or can't be inverted.
    """
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if hessian.damped > damping:
        context.notes.setdefault("damping", {})[path] = hessian.damped
        context.logger.warning(
            "%s: its Hessian can't be inverted with a damping of %g and took %g; more calibration rows make it regular",
            path,
            damping,
            hessian.damped,
        )


def against_rounding(ratios: Mapping[str, float], context: Context) -> dict[str, float]:
    """Note and return the geometric mean of `ratios`, and warn where a method does no better than rounding.

    Args:
        ratios: by path, the squared error of a layer's outputs on the calibration texts divided by that of rounding.
        context: of the step.
    """
    if not ratios:
        return {}
    # an error of 0 has no logarithm
    mean = math.exp(sum(math.log(max(ratio, LEAST_RATIO)) for ratio in ratios.values()) / len(ratios))
    context.notes["error against rounding"] = {"mean": mean, "layers": dict(ratios)}
    figures = {"error against rounding": mean}
    warn(figures, context)
    return figures


@dataclass(frozen=True)
class Card:
    """What a quantized model's card says."""

    suffix: str
    """What the title adds to the base model's."""
    recipe: Mapping[str, object]
    """How it was made."""
    figures: Mapping[str, float]
    """What was measured on the calibration rows."""
    fmt: str = COMPRESSED_TENSORS
    """Format of the weights."""


def round_layers(layers: Mapping[str, Any], rounded: Callable[[Any], Quantized]) -> Iterator[tuple[str, Quantized]]:
    """Round the weights of `layers` (by path) in place to what their numbers stand for; yield path and numbers."""
    for path, layer in layers.items():
        quantized = rounded(layer.weight.data)
        layer.weight.data.copy_(quantized.dequantize())
        yield path, quantized


def writer_for(loaded: Loaded, context: Context) -> CompressedTensorsWriter:
    """Return what writes the layers of a model as compressed-tensors, as they are quantized, for `publish_quantized`.

    From the integers, not from the model: rounding its weights once more could give others.
    """
    from potstill.compression.formats.compressed_tensors import CompressedTensorsWriter

    return CompressedTensorsWriter(loaded.model, context.out)


def publish_quantized(loaded: Loaded, writer: CompressedTensorsWriter, context: Context, card: Card) -> Path:
    """Write what is left of a model whose layers `writer` has written, and its card; return the folder."""
    from potstill.compression.quantization.activations import as_served

    writer.finish()
    # with inputs of 8 bits on both sides: a model that amplifies their rounding would seem another one
    with as_served(loaded.model, writer.narrow_inputs()):
        check_answers(loaded.model, context.out, ROUNDED)
    return publish_as(loaded, context, card)


def publish_as(loaded: Loaded, context: Context, card: Card) -> Path:
    """Add what the folder of a written model shares with the original's, and its card; return it."""
    from potstill.compression.architecture import architecture_of

    loaded.carry(context.out)
    base = name_of(loaded.folder)
    recipe = {**card.recipe, "format": card.fmt}
    # a step that quantizes them too has named them already
    recipe.setdefault("embeddings and head", "16-bit")
    if card.fmt == BITSANDBYTES:
        recipe["runs in"] = "transformers with bitsandbytes; vLLM does not load it"
    # vLLM has no kernels for the encoders' layers in this format
    elif loaded.task != "text-generation":
        recipe["runs in"] = "transformers; vLLM does not load a quantized encoder"
    elif architecture_of(loaded.model).has_experts and card.fmt == COMPRESSED_TENSORS:
        recipe["runs in"] = "Potstill" if architecture_of(loaded.model).for_potstill_alone else EXPERTS_RUN_IN
    write_card(
        context.out,
        title=f"{base}, {card.suffix}",
        made_from=base,
        recipe=recipe,
        figures={f"calibration {name}": value for name, value in card.figures.items()},
        task=loaded.task,
        served=card.fmt == COMPRESSED_TENSORS,
    )
    return context.out
