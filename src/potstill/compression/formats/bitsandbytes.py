"""Writer of the checkpoints that transformers loads through bitsandbytes: LLM.int8() and NF4.

Names and types follow what bitsandbytes 0.50 and transformers 5.19 save. The library itself is not called: after an
evaluation on a CPU it holds 4-bit weights in another order and silently saves wrong ones.

Shapes: O output features, I input features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from potstill.compression.quantization.nf4 import BLOCK, NF4, SCALE_BLOCK, dynamic_levels, levels
from potstill.compression.quantization.rounding import Quantized

LEAST_THRESHOLD = 1e-30
"""Written for a threshold of 0: bitsandbytes reads 0 as "no outliers", the paper as "every feature is one"."""


def int8_tensors(weight: Quantized) -> dict[str, Tensor]:
    """Return what is stored in place of a linear layer's weight, by name: the scale is kept as each row's absmax."""
    return {
        "weight": weight.values,
        # bitsandbytes stores the absmax of a row and divides by 127 itself
        "SCB": weight.scale[:, 0].float() * 127,
        "weight_format": torch.tensor(0, dtype=torch.uint8),  # rows in order
    }


def nf4_tensors(weight: NF4, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return what is stored in place of a linear layer's weight, by name; `dtype` is that of the weight when used."""
    state = {
        "quant_type": "nf4",
        "blocksize": BLOCK,
        "dtype": str(dtype).removeprefix("torch."),
        "shape": list(weight.shape),
        "nested_blocksize": SCALE_BLOCK,
        "nested_dtype": "float32",
        "nested_offset": float(weight.offset),
    }
    return {
        # bitsandbytes stores 4-bit weights as a column [O * I / 2, 1]
        "weight": weight.packed()[:, None],
        "weight.absmax": weight.scale,
        "weight.quant_map": levels().clone(),
        "weight.nested_absmax": weight.second_scale,
        "weight.nested_quant_map": dynamic_levels().clone(),
        # a JSON text as bytes: safetensors holds tensors only
        "weight.quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8),
    }


def int8_config(threshold: float, ignored: Sequence[str]) -> dict[str, Any]:
    """Return the `quantization_config` of config.json for LLM.int8(); layers in `ignored` are not quantized."""
    return {
        "quant_method": "bitsandbytes",
        "load_in_8bit": True,
        "load_in_4bit": False,
        "llm_int8_threshold": max(threshold, LEAST_THRESHOLD),
        "llm_int8_skip_modules": list(ignored),
        "llm_int8_has_fp16_weight": False,
    }


def nf4_config(compute_dtype: torch.dtype, ignored: Sequence[str]) -> dict[str, Any]:
    """Return the `quantization_config` of config.json for NF4; layers in `ignored` are not quantized."""
    return {
        "quant_method": "bitsandbytes",
        "load_in_8bit": False,
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": str(compute_dtype).removeprefix("torch."),
        "bnb_4bit_quant_storage": "uint8",
        "llm_int8_skip_modules": list(ignored),
    }
