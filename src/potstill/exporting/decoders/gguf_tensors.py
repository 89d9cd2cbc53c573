"""The weights of a GGUF file: names, types and order of rows.

Shapes: O output features, I input features, D features of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.compression.pretrained import ModelConfig, PretrainedModel


def tensors(model: PretrainedModel, precision: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (GGUF name, stored bytes or numbers, type) of every weight; put back into `model` what the bytes stand for.

    Vectors stay float32. Rows that a type's blocks don't divide are float16, and so are embeddings and head beside
    ternary layers, as llama.cpp's converter has it.
    """
    import gguf
    import torch
    from gguf.quants import dequantize, quantize

    config = model.config
    architecture = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
    names = gguf.get_tensor_name_map(architecture[config.model_type], config.num_hidden_layers)
    if rope_kind(config) == "llama3":
        yield "rope_freqs.weight", _rope_factors(model), gguf.GGMLQuantizationType.F32
    for name, weight in model.state_dict().items():
        # llama.cpp takes the embeddings for the head where the file has none
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.detach().float().cpu().numpy()
        kind = stored_type(name, values.shape, precision)
        stored = quantize(values, kind)
        with torch.no_grad():
            # the probe then compares the file with the very same weights, and finds a wrong order or name
            weight.copy_(torch.from_numpy(dequantize(stored, kind).reshape(values.shape).copy()))
        order = interleaved(name, config, values.shape[0])
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), stored if order is None else stored[order], kind


def stored_type(name: str, shape: tuple[int, ...], precision: str) -> Any:
    """Return the type that the weight `name` of `shape` is stored in."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    if len(shape) < 2:
        return kinds.F32
    outer = name.startswith(("model.embed_tokens", "lm_head"))
    kind = kinds.F16 if precision.startswith("tq") and outer else kinds[precision.upper()]
    block = gguf.GGML_QUANT_SIZES[kind][0]
    return kind if shape[-1] % block == 0 else kinds.F16


def interleaved(name: str, config: ModelConfig, rows: int) -> Any:
    """Return the order of the rows of a query or key projection of Llama, or `None` where they stay.

    Its halves of a head are rotated as pairs (i, i + D/2) in transformers and (2i, 2i + 1) in llama.cpp.
    """
    import numpy as np

    if config.model_type != "llama" or not any(f".{part}_proj." in name for part in ("q", "k")):
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return np.arange(rows).reshape(rows // size, 2, size // 2).swapaxes(1, 2).reshape(-1)


def rope_kind(config: ModelConfig) -> str:
    """Return how positions are scaled."""
    return str((getattr(config, "rope_parameters", None) or {}).get("rope_type", "default"))


def _rope_factors(model: PretrainedModel) -> NDArray[Any]:
    """Return by how much each frequency is divided."""
    import torch

    scaled = model.base_model.get_buffer("rotary_emb.inv_freq").float().cpu()
    # transformers keeps the scaled frequencies alone; llama.cpp wants the divisors
    base = model.config.rope_parameters["rope_theta"] ** -(torch.arange(len(scaled)) / len(scaled))
    factors: NDArray[Any] = (base / scaled).numpy()
    return factors
