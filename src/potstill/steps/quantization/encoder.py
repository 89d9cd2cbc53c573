"""Quantize encoders to int4, embeddings included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from potstill.errors import BadInput
from potstill.models import folder as checkpoint
from potstill.steps.compression.base import FittedStep
from potstill.steps.quantization.base import Card, publish_as, reference

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.gptq import Hessian
    from potstill.compression.quantization.rounding import Quantized
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

FORMAT = "gemma"
"""What transformers calls the format."""


class QuantizeEncoder(FittedStep):
    """Quantize an encoder to int4 with its embeddings and pooler, which are most of a small one: a scale a row.

    Blocks by GPTQ (Frantar et al. 2022) on the outputs of what is quantized before, each row where that is better by
    rounding within a part of its range; embeddings and pooler by such rounding, without data. A classifier's head stays
    16-bit, activations too. Coarser than the groups of QuantizeInt4, which leaves embeddings 16-bit. The folder is in
    the one format of transformers (5.19 and later) that holds 4-bit embeddings; it unpacks the weights in every pass,
    so that it is small, and not faster; vLLM does not load it. Notes hold the agreement with the 16-bit model. For
    BERT- and RoBERTa-type encoders.

    >>> rows = LoadRows([{"text": "turn on the light in the hall"}] * 32)
    >>> small = TrimVocabulary(KeepLayers(encoder, layers=(0,)), rows=rows)
    >>> show(QuantizeEncoder(small, calibration=rows, text="text", method="rtn"))
    {'parameters': 2890368, 'zeros': 0.1, 'bits': 4}
    """

    version: ClassVar[int] = 2  # GPTQ cuts off the range of rows

    _: KW_ONLY
    method: Literal["gptq", "rtn"] = "gptq"
    """`gptq`, or `rtn` to round the blocks like the embeddings."""
    damping: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the Hessian's mean diagonal that is added to it (GPTQ); the paper's 1 %."""

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: the model is no encoder, predicts tokens, has a width that does not fit, or the calibration can't
                be used.
        """
        from torch import nn

        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.formats import gemma

        loaded = checkpoint.load(model, half=True)
        others = around_the_blocks(loaded.model)
        _check_widths(loaded.model)
        before = reference(self, loaded, calibration)
        # first, so that the blocks are fitted to what the embeddings have become
        writer = stored.CheckpointWriter(loaded.model, context.out)
        for path, module in others.items():
            tensors_of = gemma.embedding_tensors if isinstance(module, nn.Embedding) else gemma.linear_tensors
            writer.add(path, tensors_of(_to_nearest(module)))
        for path, weight in self._blocks(loaded.model, before.drawn.batches(), context):
            writer.add(path, gemma.linear_tensors(weight))
        figures = before.measure(context)
        config = gemma.quantization_config(stored.other_linear_layers(loaded.model, writer.layers))
        writer.finish(config, loaded.model.dtype)
        recipe = {
            "method": f"W4A16, {self.method}",
            "weights": "int4, a scale a row",
            "embeddings and head": "embeddings and pooler int4, head 16-bit",
            "calibration rows": len(before.drawn.texts),
        }
        return publish_as(loaded, context, Card("int4", recipe, figures, FORMAT))

    def _blocks(
        self, model: PretrainedModel, batches: list[Tensor], context: Context
    ) -> Iterator[tuple[str, Quantized]]:
        """Quantize the blocks' linear layers in place; yield path and integers."""
        from potstill.compression.architecture import blocks_of
        from potstill.compression.layerwise import block_layers, walk
        from potstill.compression.quantization.gptq import Hessian

        if self.method == "rtn":
            yield from ((path, _to_nearest(layer)) for path, layer in block_layers(model).items())
            return
        total = len(blocks_of(model)[1])
        for number, block in enumerate(walk(model, batches)):
            hessians = block.record(lambda layer: Hessian(layer.in_features, layer.weight.device))
            for path, layer in block.layers.items():
                quantized = _by_gptq(layer.weight.data, hessians[path], self.damping)
                layer.weight.data.copy_(quantized.dequantize())
                yield path, quantized
            context.progress(number + 1, total, note=block.name)


def around_the_blocks(model: PretrainedModel) -> dict[str, Any]:
    """Return the embeddings and the pooler of an encoder by their path.

    Raises:
        BadInput: the model is a decoder, or predicts tokens with its embeddings.
    """
    from torch import nn

    from potstill.compression.architecture import architecture_of
    from potstill.compression.layerwise import block_layers

    if not architecture_of(model).is_encoder:
        raise BadInput(
            f"a model of type {model.config.model_type!r} is no encoder, and vLLM reads no 4-bit embeddings: take "
            "QuantizeInt4, and TrimVocabulary for fewer embeddings"
        )
    # an output layer tied to the embeddings would read them packed, which transformers' format can't
    if model.get_output_embeddings() is not None:
        raise BadInput(
            f"a {type(model).__name__} predicts tokens with its embeddings, which then can't be 4-bit: take a "
            "classifier or the bare encoder, or QuantizeInt4"
        )
    blocks, inside = block_layers(model), set(model.base_model.modules())
    return {
        path: module
        for path, module in model.named_modules()
        # `module in inside` leaves a classifier's head out, which stands outside of the base model
        if isinstance(module, nn.Embedding | nn.Linear) and module in inside and path not in blocks
    }


def _check_widths(model: PretrainedModel) -> None:
    """Make sure that GPTQ's blocks of columns fit.

    Raises:
        BadInput: they don't.
    """
    from potstill.compression.layerwise import block_layers
    from potstill.compression.quantization.gptq_columns import BLOCK

    # one scale a row, so a "group" of GPTQ is the whole row, which its blocks of columns must fill
    widths = {layer.in_features for layer in block_layers(model).values()}
    odd = sorted(width for width in widths if BLOCK % width and width % BLOCK)
    if odd:
        raise BadInput(
            f"rows of {', '.join(map(str, odd))} features don't fit: they must divide {BLOCK} or be a "
            "multiple of it; take QuantizeInt8, which fits any width"
        )


def _to_nearest(module: nn.Linear | nn.Embedding) -> Quantized:
    """Round the rows of a module in place, each within the part of its range that leaves the least error."""
    from potstill.compression.quantization import clipping

    weight = module.weight.data
    rounded = clipping.quantize(weight, None, 4, weight.shape[1], weight.dtype)
    weight.copy_(rounded.dequantize())
    return rounded


def _by_gptq(weight: Tensor, hessian: Hessian, damping: float) -> Quantized:
    """Quantize `weight` [O, I]; each row is taken from GPTQ or clipped rounding, by its error on the calibration."""
    from potstill.compression.quantization import clipping
    from potstill.compression.quantization.gptq import best_by_row, quantize_layer

    width, mean = weight.shape[1], hessian.mean()
    candidates = [
        quantize_layer(weight, hessian, 4, width, damping, weight.dtype),
        clipping.quantize(weight, mean, 4, width, weight.dtype),
    ]
    return best_by_row(weight, candidates, mean)
