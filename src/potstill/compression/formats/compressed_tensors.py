"""Writer of the compressed-tensors checkpoint format that vLLM and transformers load.

Three of its formats: `int-quantized` (W8A8: int8 weights per channel, activations quantized per token while serving),
`float-quantized` (the same in FP8) and `pack-quantized` (W4A16: int4 weights per group, eight to an int32, with or
without zero points); several of them in one model are `mixed-precision`. Names, types and bit order follow the package
compressed-tensors 0.17.0 (compressors/naive_quantized, compressors/pack_quantized).

Shapes: O output features, I input features, G groups of inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from potstill.compression.formats import checkpoint
from potstill.compression.quantization.rounding import Quantized

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

PER_INT32 = 8
"""4-bit values that an int32 holds."""


@dataclass(frozen=True)
class Scheme:
    """How a layer is stored and served."""

    bits: int = 8
    """Of a weight; of an activation too, where there is no group."""
    group_size: int | None = None
    """Input features that share a scale, with 16-bit activations; `None` is a scale per row, with 8-bit activations."""
    symmetric: bool = True
    """Whether 0 is the integer 0; otherwise there are zero points."""
    kind: str = "int"
    """`int` or `float`."""

    @property
    def format(self) -> str:
        """What the format is called."""
        return "pack-quantized" if self.group_size else f"{self.kind}-quantized"

    def group(self, targets: Sequence[str]) -> dict[str, Any]:
        """Return the entry of the config for the layers that are `targets`."""
        shared = {"num_bits": self.bits, "type": self.kind}
        weights = {
            **shared,
            "symmetric": self.symmetric,
            "strategy": "group" if self.group_size else "channel",
            "group_size": self.group_size,
            "dynamic": False,
        }
        # dynamic: the scale of a token is computed while serving, so none is stored
        per_token = {**shared, "symmetric": True, "strategy": "token", "dynamic": True}
        inputs = None if self.group_size else per_token
        return {"targets": list(targets), "weights": weights, "input_activations": inputs, "output_activations": None}


def scheme_of(weight: Quantized) -> Scheme:
    """Return how `weight` is stored."""
    if weight.values.dtype.is_floating_point:
        return Scheme(kind="float")
    if weight.bits == 8:
        return Scheme()
    return Scheme(weight.bits, weight.group_size, weight.zero is None)


def pack_int4(values: Tensor) -> Tensor:
    """Pack `values` int8 [O, I] of -8 to 7 into int32 [O, I / 8]: each plus 8, the first in the lowest four bits."""
    rows, width = values.shape
    if width % PER_INT32:
        raise ValueError(f"{width} values a row can't be packed by {PER_INT32}")
    # int64, since eight nibbles fill 32 bits and the sign bit of int32 would be hit
    nibbles = (values.to(torch.int64) + 8).reshape(rows, width // PER_INT32, PER_INT32)
    packed = (nibbles << _shifts(values)).sum(-1)
    # two's complement: the values from 2^31 up are the negative ones
    return torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)


def unpack_int4(packed: Tensor) -> Tensor:
    """Return the int8 values [O, I] of `packed` int32 [O, I / 8]."""
    nibbles = (packed.to(torch.int64)[..., None] >> _shifts(packed)) & 15
    return (nibbles - 8).to(torch.int8).flatten(1)


def layer_tensors(weight: Quantized) -> dict[str, Tensor]:
    """Return what is stored in place of a linear layer's weight, by name; zero points [O, G] are packed along O."""
    if weight.bits == 8:
        return {"weight": weight.values, "weight_scale": weight.scale}
    shape = torch.tensor(weight.values.shape, dtype=torch.int64)
    tensors = {"weight_packed": pack_int4(weight.values), "weight_shape": shape, "weight_scale": weight.scale}
    if weight.zero is not None:
        # along O, as the format has it: the number of groups need not be a multiple of 8
        tensors["weight_zero_point"] = pack_int4(weight.zero.T).T
    return tensors


def quantization_config(layers: Mapping[str, Scheme], ignored: Sequence[str]) -> dict[str, Any]:
    """Return the `quantization_config` of config.json.

    Args:
        layers: by path, how each quantized layer is stored.
        ignored: the linear layers that are not quantized.
    """
    by_scheme: dict[Scheme, list[str]] = {}
    for path, scheme in layers.items():
        by_scheme.setdefault(scheme, []).append(path)
    if len(by_scheme) == 1:
        scheme = next(iter(by_scheme))
        # one scheme for all linear layers but those in `ignore`
        groups, fmt = [scheme.group(["Linear"])], scheme.format
    else:
        groups = [{**scheme.group(paths), "format": scheme.format} for scheme, paths in by_scheme.items()]
        fmt = "mixed-precision"
    return {
        "quant_method": "compressed-tensors",
        "format": fmt,
        "quantization_status": "compressed",
        "ignore": list(ignored),
        "config_groups": {f"group_{number}": group for number, group in enumerate(groups)},
    }


class CompressedTensorsWriter:
    """Writes a model in this format: each layer when it is quantized, all other weights and the config at the end."""

    def __init__(self, model: PretrainedModel, folder: Path) -> None:
        """Start with no layer written; `model` is read at the end, and `folder` is made."""
        self._model = model
        self._writer = checkpoint.CheckpointWriter(model, folder)
        self._schemes: dict[str, Scheme] = {}
        self._dtype = torch.bfloat16

    def add(self, path: str, weight: Quantized) -> None:
        """Write the quantized `weight` of the layer at `path`."""
        self._schemes[path] = scheme_of(weight)
        self._dtype = weight.scale.dtype
        self._writer.add(path, layer_tensors(weight))

    def add_all(self, layers: Iterable[tuple[str, Quantized]]) -> None:
        """Write the weights of `layers`, each with its path, as they come."""
        for path, weight in layers:
            self.add(path, weight)

    def narrow_inputs(self) -> dict[str, str]:
        """Return the kind, `int` or `float`, of the 8-bit inputs with which layers are served, by their paths."""
        return {path: scheme.kind for path, scheme in self._schemes.items() if scheme.group_size is None}

    def finish(self) -> None:
        """Write the other weights, config.json and the generation config."""
        config = quantization_config(
            {checkpoint.stored_name(self._model, path): scheme for path, scheme in self._schemes.items()},
            [
                checkpoint.stored_name(self._model, path)
                for path in checkpoint.other_linear_layers(self._model, self._schemes)
            ],
        )
        self._writer.finish(config, self._dtype)


def _shifts(like: Tensor) -> Tensor:
    return 4 * torch.arange(PER_INT32, dtype=torch.int64, device=like.device)
