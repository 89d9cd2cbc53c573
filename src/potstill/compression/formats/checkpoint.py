"""Shared by quantized checkpoint formats: tensors in place of some weights, and a `quantization_config`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, stacks_of, stores_transposed
from potstill.compression.expert_layers import routers
from potstill.compression.formats import shards
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization_config import BITSANDBYTES
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

EXPORTED = 'or let Export quantize it: format="gguf" with "q8_0" or "q4_0", or format="openvino" with "int8" or "int4"'
"""What quantizes models that no format of checkpoints holds."""


def refuse_floats(model: PretrainedModel) -> None:
    """Make sure that the layers of `model` can be run with weights in 8-bit floats.

    Raises:
        BadInput: they can't; says what does work.
    """
    why = architecture_of(model).no_fp8
    if why:
        raise BadInput(
            f"transformers can't run a model of type {model.config.model_type!r} with weights in 8-bit floats: {why}; "
            "take QuantizeInt8"
        )


def refuse_other_layers(model: PretrainedModel, fmt: str, bits: int = 8) -> None:
    """Make sure that the layers to quantize are stored as linear layers, [O, I], and can be loaded in so many `bits`.

    Raises:
        BadInput: they are not; says what does work.
    """
    # bitsandbytes' layers take the place of both kinds, and hold weights [O, I] always
    if stores_transposed(model) and fmt != BITSANDBYTES:
        raise BadInput(
            f"a model of type {model.config.model_type!r} stores its layers as Conv1D, input features first, and "
            f"transformers finds linear layers only in the {fmt} format: use NF4, LLMInt8 or GOBO, {EXPORTED}"
        )
    _refuse_own_products(model, fmt)
    if architecture_of(model).has_experts and fmt == BITSANDBYTES:
        raise BadInput(
            f"models of type {model.config.model_type!r} can't be loaded in the {fmt} format: transformers holds their "
            "experts as one weight for all, which it doesn't quantize so; take QuantizeInt4, QuantizeInt8 or "
            "QuantizeFP8"
        )
    why = architecture_of(model).no_bitsandbytes
    if fmt == BITSANDBYTES and why:
        raise BadInput(
            f"transformers can't load a model of type {model.config.model_type!r} in the {fmt} format: {why}; "
            "take QuantizeInt8"
        )
    why = architecture_of(model).no_packing
    if bits == 4 and why:
        raise BadInput(
            f"transformers can't load a model of type {model.config.model_type!r} with packed 4-bit weights: {why}; "
            "take 8 bits, or QuantizeEncoder, which stores them otherwise"
        )


def _refuse_own_products(model: PretrainedModel, fmt: str) -> None:
    """Make sure that layers are called, and their weights not read past them: transformers would read packed numbers.

    Raises:
        BadInput: they are a class of their own that multiplies by itself, such as Falcon's.
    """
    layers = block_layers(model).values()
    own = {type(layer).__name__ for layer in layers if type(layer).forward is not nn.Linear.forward}
    if own:
        raise BadInput(
            f"a model of type {model.config.model_type!r} has layers of its own ({', '.join(sorted(own))}), which "
            "multiply by their weights themselves, so that transformers would take packed numbers for weights in the "
            f"{fmt} format: use GOBO, {EXPORTED}"
        )


def other_linear_layers(model: PretrainedModel, quantized: Container[str]) -> list[str]:
    """Return the linear layers that are not among the `quantized`, such as heads and poolers, by path; and routers."""
    layers = [path for path, module in model.named_modules() if isinstance(module, nn.Linear) and path not in quantized]
    # to a server they are linear layers
    return [*layers, *routers(model)]


def stored_name(model: PretrainedModel, name: str) -> str:
    """Return the name that checkpoints have for the tensor or layer called `name` in `model`."""
    for ours, stored in architecture_of(model).stored_names:
        name = name.replace(ours, stored)
    return name


class CheckpointWriter:
    """Writes a quantized model: each layer when its numbers are known, all other weights and the config at the end.

    So what is made waits for its file only, which is as large as one of the model's blocks.
    """

    def __init__(self, model: PretrainedModel, folder: Path) -> None:
        """Start with no layer written.

        Args:
            model: in memory; it is read at the end, and not changed.
            folder: to write into; it is made.
        """
        self.layers: set[str] = set()
        self._model = model
        self._folder = folder
        self._shards = shards.ShardWriter(folder, max(shards.LEAST, _largest_block(model)))

    def add(self, path: str, tensors: Mapping[str, Tensor]) -> None:
        """Write `tensors`, by name, in place of the weight of the layer at `path`."""
        self.layers.add(path)
        self._shards.add({stored_name(self._model, f"{path}.{name}"): tensor for name, tensor in tensors.items()})

    def finish(self, quantization_config: Mapping[str, Any], dtype: torch.dtype) -> None:
        """Write the other weights, config.json and the generation config.

        Args:
            quantization_config: what says how to read the layers.
            dtype: type of the other weights.
        """
        # safetensors refuses tensors that share storage; transformers ties them again when it loads
        left_out = {*tied(self._model), *(f"{path}.weight" for path in self.layers)}
        for name, value in self._model.state_dict().items():
            if name not in left_out:
                self._shards.add({stored_name(self._model, name): value})
        self._shards.finish()
        config = deepcopy(self._model.config)
        config.architectures = [type(self._model).__name__]
        config.dtype = dtype
        config.quantization_config = dict(quantization_config)
        config.save_pretrained(self._folder)
        if getattr(self._model, "generation_config", None) is not None:
            self._model.generation_config.save_pretrained(self._folder)


def _largest_block(model: PretrainedModel) -> int:
    """Return the bytes of the largest of the model's blocks."""
    blocks = [block for _, stack in stacks_of(model) for block in stack]
    return max((sum(weight.nbytes for weight in block.parameters()) for block in blocks), default=0)


def tied(model: PretrainedModel) -> list[str]:
    """Return the parameters that are another's, and are not stored: the head of a model with tied embeddings."""
    return sorted(getattr(model, "all_tied_weights_keys", None) or {})
