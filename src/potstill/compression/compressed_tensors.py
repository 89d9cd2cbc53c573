"""Writer of the compressed-tensors checkpoint format that vLLM and transformers load.

Two of its formats: `int-quantized` (W8A8: int8 weights per channel, activations quantized per token while serving) and
`pack-quantized` (W4A16: int4 weights per group, eight to an int32). Names, types and bit order follow the package
compressed-tensors 0.17.0 (compressors/naive_quantized, compressors/pack_quantized).

Shapes: O output features, I input features, G groups of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from potstill.compression.rounding import Quantized

PER_INT32 = 8
"""4-bit values that an int32 holds."""


def pack_int4(values: Tensor) -> Tensor:
    """Pack `values` int8 [O, I] of -8 to 7 into int32 [O, I / 8]: each plus 8, the first in the lowest four bits."""
    rows, width = values.shape
    if width % PER_INT32:
        raise ValueError(f"{width} values a row can't be packed by {PER_INT32}")
    nibbles = (values.to(torch.int64) + 8).reshape(rows, width // PER_INT32, PER_INT32)
    packed = (nibbles << _shifts(values)).sum(-1)
    # two's complement: the values from 2^31 up are the negative ones
    return torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)


def unpack_int4(packed: Tensor) -> Tensor:
    """Return the int8 values [O, I] of `packed` int32 [O, I / 8]."""
    nibbles = (packed.to(torch.int64)[..., None] >> _shifts(packed)) & 15
    return (nibbles - 8).to(torch.int8).flatten(1)


def layer_tensors(path: str, weight: Quantized) -> dict[str, Tensor]:
    """Return the checkpoint entries of the linear layer at `path`."""
    scale = {f"{path}.weight_scale": weight.scale}
    if weight.bits == 8:
        return {f"{path}.weight": weight.values, **scale}
    shape = torch.tensor(weight.values.shape, dtype=torch.int64)
    return {f"{path}.weight_packed": pack_int4(weight.values), f"{path}.weight_shape": shape, **scale}


def quantization_config(bits: int, group_size: int | None) -> dict[str, Any]:
    """Return the `quantization_config` of config.json: W8A8 without `group_size`, W4A16 with one."""
    per_token = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
    weights = {
        "num_bits": bits,
        "type": "int",
        "symmetric": True,
        "strategy": "group" if group_size else "channel",
        "group_size": group_size,
        "dynamic": False,
    }
    group = {
        "targets": ["Linear"],
        "weights": weights,
        "input_activations": None if group_size else per_token,
        "output_activations": None,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized" if group_size else "int-quantized",
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": group},
    }


def checkpoint(model: Any, quantized: Mapping[str, Quantized]) -> dict[str, Tensor]:
    """Return the state dict of `model` with the layers in `quantized` (by path) in place of their 16-bit weights."""
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        path, _, kind = name.rpartition(".")
        if kind == "weight" and path in quantized:
            tensors |= layer_tensors(path, quantized[path])
        elif not (name == "lm_head.weight" and model.config.tie_word_embeddings):
            tensors[name] = value
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def save(model: Any, quantized: Mapping[str, Quantized], folder: Path) -> None:
    """Write weights, config.json and the generation config of `model`, its layers quantized, into `folder`.

    All layers are quantized alike.
    """
    from copy import deepcopy

    from huggingface_hub import save_torch_state_dict

    first = next(iter(quantized.values()))
    config = deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.dtype = first.scale.dtype
    config.quantization_config = quantization_config(first.bits, first.group_size if first.bits == 4 else None)
    config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    save_torch_state_dict(
        checkpoint(model, quantized), folder, filename_pattern="model{suffix}.safetensors", metadata={"format": "pt"}
    )


def _shifts(like: Tensor) -> Tensor:
    return 4 * torch.arange(PER_INT32, dtype=torch.int64, device=like.device)
