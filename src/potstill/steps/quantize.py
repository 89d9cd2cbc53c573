"""Quantization: steps that make a folder with small integer weights, which vLLM and transformers load."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Interval

from potstill.errors import BadInput
from potstill.modelcard import name_of, write_card
from potstill.prompts import Template
from potstill.step import Model, Rows, Step
from potstill.steps import calibration as calibrations
from potstill.steps import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datasets import Dataset

    from potstill.compression.rounding import Quantized
    from potstill.context import Context

GROUPS = (32, 64, 128)
"""Group sizes that serving kernels know."""
KERNEL_ROWS = 32
"""4-bit kernels of vLLM want output features in multiples of this."""


class QuantizeInt8(Step):
    """Round to W8A8: int8 weights per output channel, int8 activations per token (Dettmers et al. 2022, section 2).

    Weights are rounded to nearest, which needs no data: `calibration` does not change the model. With it the agreement
    with the 16-bit model on its answers is measured (activations quantized as in serving) and put into notes and card.
    Activations are quantized while serving, each token by its own absmax. Embeddings and head stay 16-bit.

    >>> show(QuantizeInt8(student))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 10}
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    model: Model
    """16-bit model to quantize: a step, a folder or a Hub id."""
    _: KW_ONLY
    calibration: Rows | None = None
    """Rows with `output` and what `prompt` needs, to measure the agreement on; `None` measures nothing."""
    prompt: Template = "answer.jinja"
    """Template that turns a calibration row into a chat; that of training and evaluation."""
    samples: Annotated[int, Ge(1)] = 128
    """Calibration rows to draw."""
    max_length: Annotated[int, Ge(8)] = 256
    """Longest calibration text, in tokens."""
    seed: int = 0
    """Seed of the draw of calibration rows."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": ("output",)} if self.calibration is not None else {}

    def run(self, model: Any, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder."""
        from potstill.compression.agreement import agreement, final_states, quantized_activations
        from potstill.compression.walk import block_layers

        loaded = checkpoint.load(model, half=True)
        drawn = draw(self, loaded, calibration) if calibration is not None else None
        before = final_states(loaded.model, drawn.measured) if drawn else []
        layers = block_layers(loaded.model)
        quantized = round_layers(layers, 8, None)
        figures: dict[str, float] = {}
        if drawn:
            with quantized_activations(list(layers.values())):
                figures = agreement(loaded.model.lm_head, before, final_states(loaded.model, drawn.measured))
            context.notes |= {"calibration": drawn.figures(), "agreement": figures}
        recipe = {"method": "W8A8, round to nearest", "weights": "int8 per channel", "activations": "int8 per token"}
        return publish(loaded, quantized, context, Card("int8", recipe, figures))


class QuantizeInt4(Step):
    """Quantize to W4A16: int4 weights in groups that share a 16-bit scale (GPTQ, Frantar et al. 2022).

    GPTQ goes block by block on the outputs of the blocks already quantized; a row that its greedy order leaves worse
    than rounding is rounded, and weights that are zero stay zero. `method="rtn"` rounds to nearest. Embeddings and head
    stay 16-bit. Notes hold the agreement with the 16-bit model on the calibration answers (optimistic with GPTQ, which
    was fitted to them).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(QuantizeInt4(student, calibration=rows))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 7}
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    model: Model
    """16-bit model to quantize: a step, a folder or a Hub id."""
    _: KW_ONLY
    calibration: Rows
    """Rows with `output` and what `prompt` needs; the training rows, never the test's."""
    group_size: Literal[32, 64, 128] = 32
    """Input features that share a scale; 32 is the most exact and fits narrow models, 128 saves 0.4 bits a weight."""
    method: Literal["gptq", "rtn"] = "gptq"
    """`gptq`, or `rtn` to round to nearest."""
    damping: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the Hessian's mean diagonal that is added to it; the paper's 1 %."""
    prompt: Template = "answer.jinja"
    """Template that turns a calibration row into a chat; that of training and evaluation."""
    samples: Annotated[int, Ge(1)] = 128
    """Calibration rows to draw; the paper's number."""
    max_length: Annotated[int, Ge(8)] = 256
    """Longest calibration text, in tokens."""
    seed: int = 0
    """Seed of the draw of calibration rows."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": ("output",)}

    def run(self, model: Any, calibration: Dataset, context: Context) -> Path:
        """Quantize `model` and write its folder."""
        from potstill.compression.agreement import agreement, final_states
        from potstill.compression.walk import block_layers

        loaded = checkpoint.load(model, half=True)
        layers = block_layers(loaded.model)
        check_widths({path: tuple(layer.weight.shape) for path, layer in layers.items()}, self.group_size)
        drawn = draw(self, loaded, calibration)
        before = final_states(loaded.model, drawn.measured)
        if self.method == "rtn":
            quantized = round_layers(layers, 4, self.group_size)
        else:
            quantized = gptq_layers(loaded.model, drawn.batches(), self.group_size, self.damping, context)
        figures = agreement(loaded.model.lm_head, before, final_states(loaded.model, drawn.measured))
        context.notes |= {"calibration": drawn.figures(), "agreement": figures}
        recipe = {
            "method": f"W4A16, {self.method}",
            "weights": f"int4 in groups of {self.group_size}",
            "calibration rows": len(drawn.texts),
        }
        return publish(loaded, quantized, context, Card("int4", recipe, figures))


@dataclass(frozen=True)
class Card:
    """What a quantized model's card says."""

    suffix: str
    """What the title adds to the base model's."""
    recipe: Mapping[str, object]
    """How it was made."""
    figures: Mapping[str, float]
    """What was measured on the calibration rows."""


def draw(step: QuantizeInt8 | QuantizeInt4, loaded: checkpoint.Loaded, rows: Dataset) -> calibrations.Calibration:
    """Draw the calibration texts of `step`."""
    return calibrations.calibration_texts(
        rows,
        loaded.tokenizer,
        loaded.model.config,
        prompt=step.prompt,
        samples=step.samples,
        max_length=step.max_length,
        seed=step.seed,
    )


def round_layers(layers: Mapping[str, Any], bits: int, group_size: int | None) -> dict[str, Quantized]:
    """Round the weights of `layers` (by path) in place to what their integers stand for; return the integers."""
    from potstill.compression import rounding

    quantized = {}
    for path, layer in layers.items():
        quantized[path] = rounding.quantize(layer.weight.data, bits, group_size, layer.weight.dtype)
        layer.weight.data.copy_(quantized[path].dequantize())
    return quantized


def gptq_layers(
    model: Any, batches: list[Any], group_size: int, damping: float, context: Context
) -> dict[str, Quantized]:
    """Quantize the linear layers of `model` in place to what their integers stand for; return the integers by path."""
    from potstill.compression.architecture import blocks_of
    from potstill.compression.gptq import Hessian, quantize_layer
    from potstill.compression.walk import walk

    total = len(blocks_of(model)[1])
    quantized = {}
    for number, block in enumerate(walk(model, batches)):
        hessians = block.record(lambda layer: Hessian(layer.in_features, layer.weight.device))
        for path, layer in block.layers.items():
            weight = layer.weight.data
            quantized[path] = quantize_layer(weight, hessians[path], 4, group_size, damping, weight.dtype)
            weight.copy_(quantized[path].dequantize())
        context.progress(number + 1, total, note=block.name)
    return quantized


def check_widths(shapes: Mapping[str, tuple[int, ...]], group_size: int) -> None:
    """Make sure that int4 groups fit the weights [O, I] in `shapes` and that kernels can serve them.

    Raises:
        BadInput: some don't; names the groups that fit all of them.
    """
    narrow = [f"{path} has {width}" for path, (_, width) in shapes.items() if width % group_size]
    odd = [f"{path} has {rows}" for path, (rows, _) in shapes.items() if rows % KERNEL_ROWS]
    fitting = [str(group) for group in GROUPS if all(width % group == 0 for _, width in shapes.values())]
    problems = []
    if narrow:
        remedy = (
            f"group_size that fits: {' or '.join(fitting)}" if fitting else "use QuantizeInt8, which fits any width"
        )
        problems.append(f"input features can't be divided into groups of {group_size}: {_few(narrow)}; {remedy}")
    if odd:
        problems.append(
            f"4-bit kernels need output features in multiples of {KERNEL_ROWS}: {_few(odd)}; "
            "use QuantizeInt8, which fits any width"
        )
    if problems:
        raise BadInput(*problems)


def publish(loaded: checkpoint.Loaded, quantized: Mapping[str, Quantized], context: Context, card: Card) -> Path:
    """Write the quantized model, what it shares with the original, and its card; return the folder."""
    from potstill.compression import compressed_tensors

    context.out.mkdir(parents=True, exist_ok=True)
    compressed_tensors.save(loaded.model, quantized, context.out)
    loaded.carry(context.out)
    base = name_of(loaded.folder)
    write_card(
        context.out,
        title=f"{base}, {card.suffix}",
        made_from=base,
        recipe={**card.recipe, "format": "compressed-tensors", "embeddings and head": "16-bit"},
        figures={f"calibration {name}": value for name, value in card.figures.items()},
    )
    return context.out


def _few(texts: list[str], most: int = 4) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
