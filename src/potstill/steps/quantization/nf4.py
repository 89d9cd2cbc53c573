"""NF4: 4-bit normal floats, for transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.compression.quantization_config import BITSANDBYTES
from potstill.errors import BadInput
from potstill.models import folder as checkpoint
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.quantization.base import Card, publish_as, reference
from potstill.steps.quantization.int4 import few

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

KERNEL_ROWS = 32
"""bitsandbytes' kernels for a CPU want output features in multiples of this."""


class NF4(CalibratedStep):
    """Round to NF4: 4-bit numbers at quantiles of the normal distribution (QLoRA, Dettmers et al. 2023, section 3).

    Blocks of 64 weights share a scale, and the scales are themselves 8-bit in blocks of 256 (double quantization).
    Activations stay 16-bit. The folder is in bitsandbytes' format, written by our own code and not by the library,
    which saves wrong weights after an evaluation on a CPU; it loads in transformers, not in vLLM: there, use
    QuantizeInt4. Embeddings, head, pooler and classifier stay 16-bit. GPT-2's layers are held too, Falcon's are not.
    With `calibration` the agreement is measured.

    >>> show(NF4(student))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 8}
    """

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write its folder.

        Raises:
            BadInput: a layer's width does not fit, the model can't be quantized, or the rows can't be used.
        """
        from potstill.compression.formats import bitsandbytes
        from potstill.compression.formats import checkpoint as stored
        from potstill.compression.layerwise import block_layers
        from potstill.compression.quantization import nf4

        loaded = checkpoint.load(model, half=True)
        stored.refuse_other_layers(loaded.model, BITSANDBYTES)
        layers, dtype = block_layers(loaded.model), loaded.model.dtype
        check_widths({path: tuple(layer.weight.shape) for path, layer in layers.items()})
        before = reference(self, loaded, calibration) if calibration is not None else None
        writer = stored.CheckpointWriter(loaded.model, context.out)
        for path, layer in layers.items():
            quantized = nf4.quantize(layer.weight.data)
            layer.weight.data.copy_(quantized.dequantize(layer.weight.dtype))
            writer.add(path, bitsandbytes.nf4_tensors(quantized, dtype))
        figures = before.measure(context) if before else {}
        writer.finish(bitsandbytes.nf4_config(dtype, stored.other_linear_layers(loaded.model, writer.layers)), dtype)
        recipe = {"method": "NF4", "weights": "4-bit normal floats in blocks of 64, scales 8-bit in blocks of 256"}
        return publish_as(loaded, context, Card("NF4", recipe, figures, BITSANDBYTES))


def check_widths(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Make sure that blocks fit the weights [O, I] in `shapes` and that the library's kernels can run them.

    Raises:
        BadInput: some don't.
    """
    from potstill.compression.quantization.nf4 import BLOCK

    narrow = [f"{path} has {width}" for path, (_, width) in shapes.items() if width % BLOCK]
    odd = [f"{path} has {rows}" for path, (rows, _) in shapes.items() if rows % KERNEL_ROWS]
    problems = []
    if narrow:
        problems.append(f"NF4 needs input features in multiples of {BLOCK}: {few(narrow)}; use QuantizeInt8 or LLMInt8")
    if odd:
        problems.append(
            f"NF4 needs output features in multiples of {KERNEL_ROWS}: {few(odd)}; use QuantizeInt8 or LLMInt8"
        )
    if problems:
        raise BadInput(*problems)
