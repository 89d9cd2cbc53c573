"""The weights of a GGUF file: names, types and order of rows.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from potstill.errors import PotstillError
from potstill.exporting.decoders import gguf_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.compression.pretrained import PretrainedModel


def tensors(model: PretrainedModel, precision: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (GGUF name, stored bytes or numbers, type) of every weight; put back into `model` what the bytes stand for.

    Vectors stay float32. Rows that a type's blocks don't divide are float16, and so are embeddings and head beside
    ternary layers, as llama.cpp's converter has it. Beside 4-bit layers the output layer has 8 bits, tied or not.
    """
    import gguf
    import torch
    from gguf.quants import dequantize, quantize

    config = model.config
    names = gguf_layout.tensor_names(config)
    for name, factors in gguf_layout.rope_factors(model):
        yield name, factors, gguf.GGMLQuantizationType.F32
    turned = _stored_transposed(model)
    output = _output_names(model)
    for name, weight in model.state_dict().items():
        # llama.cpp takes the embeddings for the head where the file has none
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.detach().float().cpu().numpy()
        values = values.T if name in turned else values
        kind = stored_type(name, values.shape, precision, output)
        stored = quantize(_contiguous(values), kind)
        with torch.no_grad():
            # the probe then compares the file with the very same weights, and finds a wrong order or name
            exact = dequantize(stored, kind).reshape(values.shape)
            weight.copy_(torch.from_numpy((exact.T if name in turned else exact).copy()))
        order, shift = gguf_layout.row_order(name, config, values.shape[0]), gguf_layout.shift(name, config)
        stored = stored if order is None else stored[order]
        yield gguf_name(names, name), stored + stored.dtype.type(shift) if shift else stored, kind


def gguf_name(names: Any, name: str) -> str:
    """Return llama.cpp's name of a weight.

    Raises:
        PotstillError: its maps have none.
    """
    own_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if own_name is None:
        raise PotstillError(f"the package gguf knows no tensor {name!r} of this type: take another format")
    return str(own_name)


def _contiguous(values: NDArray[Any]) -> NDArray[Any]:
    """Return `values` in C order, which the quantizers want."""
    import numpy as np

    return np.ascontiguousarray(values)


def _stored_transposed(model: PretrainedModel) -> set[str]:
    """Return the weights that transformers stores [I, O]: those of GPT-2."""
    from transformers.pytorch_utils import Conv1D

    return {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, Conv1D)}


def _output_names(model: PretrainedModel) -> tuple[str, ...]:
    """Return the names of the weights that make logits: those of the head, and of embeddings that are tied to it."""
    layers: list[Any] = [model.get_output_embeddings()]
    layers += [model.get_input_embeddings()] if model.config.tie_word_embeddings else []
    return tuple(f"{path}.weight" for path, module in model.named_modules() if any(module is one for one in layers))


def stored_type(name: str, shape: tuple[int, ...], precision: str, output: Sequence[str] = ()) -> Any:
    """Return the type that the weight `name` of `shape` is stored in; those in `output` make logits."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    if len(shape) < 2:
        return kinds.F32
    outer = name in output or "embed" in name.rpartition(".")[0].rpartition(".")[2]
    kind = kinds.F16 if precision.startswith("tq") and outer else kinds[precision.upper()]
    # what llama.cpp's own tool gives them where rows are no multiple of 256; else it takes q6_K, which is 2 bits less
    kind = kinds.Q8_0 if precision == "q4_0" and name in output else kind
    block = gguf.GGML_QUANT_SIZES[kind][0]
    return kind if shape[-1] % block == 0 else kinds.F16
