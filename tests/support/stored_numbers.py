"""Quantized folders read without Potstill: what their numbers stand for, and what a model of them computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MIXTRAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
"""Names of an expert's layers in Mixtral's checkpoints, and ours."""
FLOAT8 = 448.0
"""Largest number of FP8 (E4M3)."""


def layers(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors of a folder, by layer and by name."""
    from safetensors.torch import load_file

    tensors: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            # gpt-oss's experts are stored under the names that vLLM reads
            for stored, ours in ((".w13_", ".gate_up_proj."), (".w2_", ".down_proj.")):
                name = name.replace(stored, ours)
            path, _, kind = name.rpartition(".")
            tensors.setdefault(_ours(path), {})[kind] = tensor
    return tensors


def _ours(path: str) -> str:
    """Return the path of a layer as transformers 5 has it, of one that Mixtral's checkpoints name."""
    start, _, end = path.replace(".block_sparse_moe.", ".mlp.").rpartition(".")
    return f"{start}.{MIXTRAL.get(end, end)}" if start else end


def weight(own: dict[str, Any]) -> Any:
    """Return the float32 weight [O, I] that a quantized layer's tensors stand for, read as compressed-tensors does."""
    import torch
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    scale = own["weight_scale"].float()
    if "weight_packed" not in own:
        return own["weight"].float() * scale
    shape = torch.Size(own["weight_shape"].tolist())
    values = unpack_from_int32(own["weight_packed"], 4, shape).float()
    size = shape[1] // scale.shape[1]
    if "weight_zero_point" in own:
        zero = unpack_from_int32(own["weight_zero_point"], 4, torch.Size(scale.shape), packed_dim=0).float()
        values = values - zero.repeat_interleave(size, 1)
    return values * scale.repeat_interleave(size, 1)


def rounding_of_inputs(own: dict[str, Any], by_library: bool) -> Callable[[Any], Any] | None:
    """Return how inputs of a layer stored as `own` are rounded while serving; None where they stay."""
    if "weight_scale" not in own or "weight_packed" in own:
        return None
    if own["weight"].dtype.is_floating_point:
        return _float8_as_library if by_library else _to_float8
    return _as_library if by_library else _to_int8


def _to_int8(inputs: Any) -> Any:
    scale = inputs.abs().amax(-1, keepdim=True).clamp_min(1e-9) / 127
    return (inputs / scale).round().clamp(-128, 127) * scale


def _as_library(inputs: Any) -> Any:
    """As compressed-tensors does: over 127.5."""
    scale = _largest_by_library(inputs) / 127.5
    return (inputs / scale).round().clamp(-128, 127) * scale


def _largest_by_library(inputs: Any) -> Any:
    """Where texts were flattened (OPT's feed-forward), compressed-tensors takes one scale for all of their tokens."""
    return inputs.abs().amax(tuple(range(2, inputs.ndim)) or None, keepdim=True).clamp_min(1e-9)


def _to_float8(inputs: Any) -> Any:
    return _over(inputs, inputs.abs().amax(-1, keepdim=True).clamp_min(1e-9) / FLOAT8)


def _float8_as_library(inputs: Any) -> Any:
    return _over(inputs, _largest_by_library(inputs) / FLOAT8)


def _over(inputs: Any, scale: Any) -> Any:
    import torch

    return (inputs / scale).to(torch.float8_e4m3fn).to(inputs.dtype) * scale


def nearest(original: Any, own: dict[str, Any]) -> Any:
    """Return `original` [O, I] rounded to nearest in as many bits as a layer stored as `own` has."""
    import torch

    if "weight_packed" in own:
        groups = original.reshape(len(original), own["weight_scale"].shape[1], -1)
        scale = groups.abs().amax(-1, keepdim=True) / 7
        return ((groups / scale).round().clamp(-8, 7) * scale).reshape(original.shape)
    scale = original.abs().amax(1, keepdim=True)
    if own["weight"].dtype.is_floating_point:
        return (original / scale * FLOAT8).to(torch.float8_e4m3fn).float() * scale / FLOAT8
    return (original / scale * 127).round() * scale / 127


def model_of(model: Any, folder: Path, rounded: bool = False, by_library: bool = False) -> Any:
    """Give `model`, its experts as layers, the weights that a folder's numbers stand for, and its rounding of inputs.

    With `rounded` its own weights instead, rounded to nearest in as many bits. Inputs are rounded as kernels do it, or
    `by_library`.
    """
    import torch

    stored = layers(folder)
    for one in model.parameters():
        # steps load it so; buffers stay, which are computed when a folder is loaded
        one.data = one.data.bfloat16().float()
    state = {f"{path}.{name}".lstrip("."): tensor for path, own in stored.items() for name, tensor in own.items()}
    for path, own in stored.items():
        if "weight_scale" in own:
            layer = model.get_submodule(path)
            state = {key: value for key, value in state.items() if key.rpartition(".")[0] != path}
            state |= {f"{path}.{name}": tensor for name, tensor in own.items() if name == "bias"}
            state[f"{path}.weight"] = nearest(layer.weight.data, own) if rounded else weight(own)
            if take := rounding_of_inputs(own, by_library):
                layer.register_forward_pre_hook(lambda _, args, take=take: (take(args[0]), *args[1:]))
    if rounded:
        state = {key: value for key, value in state.items() if "weight_scale" in stored[key.rpartition(".")[0]]}
    report = model.load_state_dict({key: value.to(torch.float32) for key, value in state.items()}, strict=False)
    assert not report.unexpected_keys, report.unexpected_keys
    return model
