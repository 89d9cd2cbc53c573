"""Reader of mixtures of experts in the compressed-tensors format, expert by expert, as vLLM reads them.

transformers 5.19 holds the experts of a block as one weight. Of those stored one by one it reads FP8 and symmetric
int4, as 16-bit weights, and fails at int8, zero points and several schemes in one model. Here all that
`compressed_tensors` writes is read: the numbers become the 16-bit weights that they stand for, and inputs of layers are
rounded where kernels round them.

Shapes: O output features, I input features, G groups of inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_for
from potstill.compression.expert_layers import take_apart
from potstill.compression.formats.checkpoint import tied
from potstill.compression.formats.compressed_tensors import unpack_int4
from potstill.compression.layerwise import block_layers
from potstill.compression.model_types import DESCRIPTIONS
from potstill.compression.quantization import fp8, rounding
from potstill.compression.quantization.activations import round_inputs
from potstill.compression.quantization.rounding import Quantized
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

PARTS = ("weight", "weight_packed", "weight_scale", "weight_zero_point", "weight_shape")
"""Names of what is stored in place of a layer's weight."""


def holds_experts(config: ModelConfig) -> bool:
    """Return whether a model with this `config` is a mixture of experts in the compressed-tensors format."""
    stored = getattr(config, "quantization_config", None) or {}
    if config.model_type not in DESCRIPTIONS or stored.get("quant_method") != "compressed-tensors":
        return False
    return architecture_for(config).has_experts and all(
        _is_ours(group.get("weights") or {}) for group in (stored.get("config_groups") or {}).values()
    )


def load(kind: Any, files: Iterable[Path], config: ModelConfig, options: Mapping[str, Any]) -> PretrainedModel:
    """Load a quantized mixture of experts, its experts as layers (`expert_layers`).

    Args:
        kind: its class in transformers.
        files: with its weights.
        config: its configuration.
        options: `dtype`, `attn_implementation` and `device_map` of `from_pretrained`, where they are given.

    Raises:
        BadInput: a weight of it is missing, or nothing reads one.
    """
    from transformers.initialization import no_init_weights

    dense, dtype = deepcopy(config), options.get("dtype", "auto")
    del dense.quantization_config
    how = {"attn_implementation": options["attn_implementation"]} if options.get("attn_implementation") else {}
    with no_init_weights():
        model: PretrainedModel = kind._from_config(dense, dtype=config.dtype if dtype == "auto" else dtype, **how)
    take_apart(model)
    layers = dict(_layers(_renamed(files, config)))
    tensors = {name: value for path, own in layers.items() for name, value in _dense(path, own, model.dtype).items()}
    report = model.load_state_dict(tensors, strict=False)
    model.tie_weights()  # type: ignore[operator] # of transformers
    missing = sorted(set(report.missing_keys) - set(tied(model)))
    for what, names in (("lack", missing), ("hold more than it reads", report.unexpected_keys)):
        if names:
            raise BadInput(f"the weights of this quantized {kind.__name__} {what}: {', '.join(names[:4])}")
    for path, layer in block_layers(model).items():
        _round_inputs(layer, layers[path])
    # what is loaded is quantized to all who ask, though no library holds it so
    model.config.quantization_config = config.quantization_config
    return model.to(options["device_map"]) if options.get("device_map") else model


def _is_ours(weights: Mapping[str, Any]) -> bool:
    """Return whether weights of a config's group are stored as `compressed_tensors` writes them."""
    if weights.get("num_bits") == 4:
        return weights.get("type") == "int" and weights.get("strategy") == "group"
    return weights.get("num_bits") == 8 and weights.get("strategy") == "channel"


def _renamed(files: Iterable[Path], config: ModelConfig) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in `files`, by the names of our layers."""
    from safetensors.torch import load_file

    names = architecture_for(config).stored_names
    for file in files:
        for name, tensor in load_file(file).items():
            for ours, stored in names:
                name = name.replace(stored, ours)
            yield name, tensor


def _layers(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield each layer's path, and its tensors by name."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors:
        path, _, kind = name.rpartition(".")
        layers.setdefault(path, {})[kind] = tensor
    yield from layers.items()


def _dense(path: str, own: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the tensors of a layer by their whole names, its weight as the one of a `dtype` that its numbers mean."""
    if "weight_scale" not in own:
        return {f"{path}.{name}": tensor for name, tensor in own.items()}
    others = {f"{path}.{name}": tensor for name, tensor in own.items() if name not in PARTS}
    zero, scale = own.get("weight_zero_point"), own["weight_scale"].to(dtype)
    if "weight_packed" in own:
        points = None if zero is None else unpack_int4(zero.T).T
        weight = Quantized(unpack_int4(own["weight_packed"]), scale, 4, points)
    else:
        weight = Quantized(own["weight"], scale, 8)
    return {**others, f"{path}.weight": weight.dequantize()}


def _round_inputs(layer: nn.Linear, own: Mapping[str, Tensor]) -> None:
    """Have a layer that is stored as `own` round its inputs as it will when it is served."""
    if "weight_scale" in own and "weight" in own:
        floats = own["weight"].dtype.is_floating_point
        round_inputs(layer, fp8.fake_quantize_tokens if floats else rounding.fake_quantize_tokens)
