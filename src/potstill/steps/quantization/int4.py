"""Quantize to int4 weights (W4A16) by GPTQ, AWQ or round-to-nearest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from potstill.errors import BadInput
from potstill.models import folder
from potstill.steps.compression.base import FittedStep
from potstill.steps.quantization.base import (
    Card,
    against_rounding,
    naming_layer,
    publish_quantized,
    reference,
    round_layers,
    writer_for,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.gptq import Hessian
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.steps.compression.calibration import Calibration

GROUPS = (32, 64, 128)
"""Group sizes that serving kernels know."""
KERNEL_ROWS = 32
"""4-bit kernels of vLLM want output features in multiples of this."""


class QuantizeInt4(FittedStep):
    """Quantize to W4A16: int4 weights in groups that share a 16-bit scale (GPTQ, Frantar et al. 2022, or AWQ).

    Both go block by block on the outputs of the blocks already quantized, and zeros stay zero. GPTQ weighs the errors
    of tokens by what a decoder's predictions lose (`compression.quantization.token_weights`), cuts off the range of
    groups, and takes each row from the better of two orders of columns, or rounds it where that is best. AWQ (Lin et
    al. 2023) scales inputs where the scale can be folded into what makes them, which needs a decoder, and cuts the
    range of groups. Embeddings, head, pooler and classifier stay 16-bit. Notes hold the agreement with the 16-bit model
    on the calibration answers (optimistic, since the weights were fitted to them). Decoders load in vLLM, whose 4-bit
    kernel needs AVX-512 on a CPU, and in transformers; encoders (BERT) in transformers only; the format holds no GPT-2.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(QuantizeInt4(student, calibration=rows))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 8}
    """

    version: ClassVar[int] = 4  # zero points by default; GPTQ weighs tokens and cuts off the range of groups

    _: KW_ONLY
    group_size: Literal[32, 64, 128] = 32
    """Input features that share a scale; 32 is the most exact and fits narrow models, 128 saves 0.4 bits a weight."""
    method: Literal["gptq", "awq", "rtn"] = "gptq"
    """`gptq`, `awq`, or `rtn` to round to nearest."""
    symmetric: bool | None = None
    """Whether a group's range is the same to both sides; without, it has a zero point of 4 bits more, which AWQ's paper
    takes. `None` gives zero points to all but mixtures of experts, whose zero points transformers does not read."""
    guided: bool = True
    """Whether GPTQ weighs tokens by the model's predictions, in one backward pass over the calibration texts; encoders
    and experts count every token alike."""
    damping: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the Hessian's mean diagonal that is added to it (GPTQ); the paper's 1 %."""

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: a layer's width does not fit the format, or the calibration can't be used.
        """
        from potstill.compression.architecture import architecture_of
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers, quantizable

        # in 16 bits, as it will be served: scales fitted to float32 weights would be rounded once more
        loaded = folder.load(model, half=True)
        stored.refuse_other_layers(loaded.model, "compressed-tensors", 4)
        layers = quantizable(block_layers(loaded.model))
        check_widths({path: tuple(layer.weight.shape) for path, layer in layers.items()}, self.group_size)
        note_processor(context)
        # the original's outputs, before its weights change under it
        before = reference(self, loaded, calibration)
        ratios: dict[str, float] = {}
        writer = writer_for(loaded, context)
        symmetric = architecture_of(loaded.model).has_experts if self.symmetric is None else self.symmetric
        writer.add_all(self._quantized(loaded.model, layers, before.drawn, symmetric, context, ratios))
        figures = before.measure(context) | against_rounding(ratios, context)
        recipe = {
            "method": f"W4A16, {self.method}",
            "weights": f"int4 in groups of {self.group_size}" + ("" if symmetric else " with zero points"),
            "calibration rows": len(before.drawn.texts),
            "needs on a CPU": "AVX-512",
        }
        return publish_quantized(loaded, writer, context, Card("int4", recipe, figures))

    def _quantized(
        self,
        model: PretrainedModel,
        layers: Mapping[str, Any],
        drawn: Calibration,
        symmetric: bool,
        context: Context,
        ratios: dict[str, float],
    ) -> Iterator[tuple[str, Quantized]]:
        """Quantize the `layers` of `model` in place by `method`; yield path and integers, and add `ratios`."""
        if self.method == "gptq":
            weights = weights_of_tokens(model, drawn, self.seed, context) if self.guided else {}
            how = (self.group_size, self.damping)
            return gptq_layers(model, drawn.batches(), *how, context, symmetric, ratios, weights)
        if self.method == "awq":
            return awq_layers(model, drawn.batches(), self.group_size, context, symmetric, ratios)
        from potstill.compression.quantization import rounding

        return round_layers(
            layers, lambda weight: rounding.quantize(weight, 4, self.group_size, weight.dtype, symmetric)
        )


def weights_of_tokens(model: PretrainedModel, drawn: Calibration, seed: int, context: Context) -> dict[str, Tensor]:
    """Return what each token of the texts in `drawn` counts, by path of the first layer that reads them; see `guided`.

    Experts have none: which tokens they get changes with the weights before them. An encoder, whose prediction is one a
    text, has none either.
    """
    from potstill.compression.architecture import architecture_of
    from potstill.compression.expert_layers import is_expert
    from potstill.compression.layerwise import block_layers, quantizable
    from potstill.compression.quantization.token_weights import token_weights

    if architecture_of(model).is_encoder:
        return {}
    layers = {path: layer for path, layer in quantizable(block_layers(model)).items() if not is_expert(path)}
    total = len(drawn.texts)
    return token_weights(
        model, layers, drawn.texts, seed, lambda done: context.progress(done, total, note="weights of tokens")
    )


def gptq_layers(
    model: PretrainedModel,
    batches: list[Any],
    group_size: int,
    damping: float,
    context: Context,
    symmetric: bool = True,
    ratios: dict[str, float] | None = None,
    weights_by_path: Mapping[str, Tensor] | None = None,
) -> Iterator[tuple[str, Quantized]]:
    """Quantize the linear layers of `model` in place to what their integers stand for; yield path and integers.

    The error of each layer's outputs as a share of rounding's is added to `ratios`, if they are given; tokens count by
    `weights_by_path`, those of `weights_of_tokens`.
    """
    from potstill.compression.architecture import blocks_of
    from potstill.compression.layerwise import quantizable, sharing, walk
    from potstill.compression.quantization.gptq import error_against_rounding, quantize_together, sees_few

    total, weights_of = len(blocks_of(model)[1]), weights_by_path or {}
    for number, block in enumerate(walk(model, batches)):
        path_of = {layer: path for path, layer in block.layers.items()}
        # X X^T of the inputs as the blocks before, quantized by now, give them: later blocks make up for earlier errors
        hessians = block.record(partial(_weighted_hessian, path_of, weights_of))
        for hessian, together in sharing(hessians):
            layers = quantizable({path: block.layers[path] for path in together})
            if sees_few(together[0], hessian):
                yield from rounded_experts(layers, hessian.tokens, context, group_size, symmetric)
                continue
            weights = {path: layer.weight.data for path, layer in layers.items()}
            with naming_layer(together[0], hessian, damping, context):
                # query, key and value (gate and up) read one input: as one matrix they need one factorization
                quantized = quantize_together(weights, hessian, 4, group_size, damping, model.dtype, symmetric)
            for path, weight in weights.items():
                if ratios is not None:
                    ratios[path] = error_against_rounding(weight, quantized[path], hessian.mean())
                weight.copy_(quantized[path].dequantize())
            # the inverse of a wide layer's Hessian is larger than the layer
            hessian.forget_inverses()
            yield from quantized.items()
        context.progress(number + 1, total, note=block.name)


def _weighted_hessian(path_of: Mapping[nn.Linear, str], weights_of: Mapping[str, Tensor], layer: nn.Linear) -> Hessian:
    """Return the Hessian of the inputs that `layer` is the first to read, with the weights of its tokens."""
    from potstill.compression.quantization.gptq import Hessian

    return Hessian(layer.in_features, layer.weight.device, weights_of.get(path_of[layer]))


def rounded_experts(
    layers: Mapping[str, Any], tokens: int, context: Context, group_size: int, symmetric: bool = True
) -> Iterator[tuple[str, Quantized]]:
    """Round the `layers` of an expert that saw too few `tokens` for GPTQ, and note it; see `gptq.sees_few`."""
    from potstill.compression.quantization import rounding

    context.notes.setdefault("experts rounded", {}).update(dict.fromkeys(layers, tokens))
    return round_layers(layers, lambda weight: rounding.quantize(weight, 4, group_size, weight.dtype, symmetric))


def awq_layers(
    model: PretrainedModel,
    batches: list[Any],
    group_size: int,
    context: Context,
    symmetric: bool = True,
    ratios: dict[str, float] | None = None,
) -> Iterator[tuple[str, Quantized]]:
    """Scale and quantize the linear layers of `model` in place; yield path and integers, and add `ratios` (GPTQ's).

    Raises:
        BadInput: the scales can't be folded into this kind of model.
    """
    from potstill.compression.architecture import architecture_of, blocks_of
    from potstill.compression.layerwise import walk
    from potstill.compression.quantization import awq, scale_folding

    folds, offset = scale_folding.everywhere(model), architecture_of(model).norm_offset
    total = len(blocks_of(model)[1])
    for number, block in enumerate(walk(model, batches)):
        quantized = awq.quantize_block(block, folds, 4, group_size, model.dtype, symmetric, offset, ratios)
        yield from quantized.items()
        context.progress(number + 1, total, note=block.name)


def note_processor(context: Context, cpuinfo: Path | None = None) -> None:
    """Note and log if the processor that `cpuinfo` describes, by default this machine's, can't serve 4-bit weights."""
    from potstill.compression import cpu_kernels

    problem = cpu_kernels.int4_problem(cpu_kernels.flags(cpuinfo or cpu_kernels.CPUINFO))
    if problem:
        context.notes["serving"] = problem
        context.logger.warning(problem)


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
        problems.append(f"input features can't be divided into groups of {group_size}: {few(narrow)}; {remedy}")
    if odd:
        problems.append(
            f"4-bit kernels need output features in multiples of {KERNEL_ROWS}: {few(odd)}; "
            "use QuantizeInt8, which fits any width"
        )
    if problems:
        raise BadInput(*problems)


def few(texts: list[str], most: int = 4) -> str:
    """Return the first of the `texts`, and how many more there are."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
