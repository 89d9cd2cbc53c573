"""Writer of the checkpoints that transformers calls `gemma`: 4-bit linear layers and embeddings, one scale a row.

The name is that of the models it was made for; transformers 5.19 loads any model so (integrations/gemma_quant). It is
the only one of its formats that holds embeddings in 4 bits: those of compressed-tensors fail to load.

Shapes: O output features or tokens, I input features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from potstill.compression.quantization.rounding import Quantized


def linear_tensors(weight: Quantized) -> dict[str, Tensor]:
    """Return what is stored in place of a linear layer's weight, by name; 0 as the scale of activations leaves them."""
    return {
        "weight": pack(weight.values),
        "weight_scale": weight.scale,
        "input_activation_scale": torch.zeros((), dtype=weight.scale.dtype),
        "output_activation_scale": torch.zeros((), dtype=weight.scale.dtype),
    }


def embedding_tensors(weight: Quantized) -> dict[str, Tensor]:
    """Return what is stored in place of an embedding's weight, by name."""
    return {"embedding_quantized": pack(weight.values), "embedding_scale": weight.scale}


def pack(values: Tensor) -> Tensor:
    """Pack `values` int8 [O, I] of -8 to 7 into uint8 [O, I / 2]: each plus 8, the first in the lower four bits."""
    if values.shape[1] % 2:
        raise ValueError(f"{values.shape[1]} values a row can't be packed by 2")
    # offset binary, not two's complement: that is how the format's reader takes them apart
    nibbles = (values + 8).to(torch.uint8)
    return nibbles[:, ::2] | (nibbles[:, 1::2] << 4)


def quantization_config(ignored: Sequence[str]) -> dict[str, Any]:
    """Return the `quantization_config` of config.json; layers in `ignored` are not quantized."""
    return {
        "quant_method": "gemma",
        "num_bits": 4,
        "quantize_embeddings": True,
        "modules_to_not_convert": list(ignored),
    }
