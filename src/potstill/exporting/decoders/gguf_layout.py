"""How llama.cpp wants the weights and sizes of a model type: its own names, rows and norms as it reads them.

Names are those of the package `gguf`; what llama.cpp's converter changes in the weights besides is here.

Shapes: O output features, I input features, D features of a head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from potstill.compression.architecture import architecture_for, head_size, key_value_heads
from potstill.compression.block_parts import Architecture
from potstill.compression.model_types import runtimes_of
from potstill.errors import BadInput
from potstill.models.positions import alike_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.compression.pretrained import ModelConfig, PretrainedModel

LOCAL_BASE = 10000.0
"""Base of the positions of layers with a window that have one of their own, which llama.cpp has built in (Gemma 3)."""
ROPES = ("default", "linear", "llama3", "longrope")
"""Scalings of positions that are written."""


def name_of(config: ModelConfig) -> str:
    """Return llama.cpp's name of a model's type; an empty text where it has none."""
    import gguf

    kind = runtimes_of(config).llama_name or config.model_type.removesuffix("_text")
    names = {name.replace("-", "").replace("_", ""): name for name in gguf.MODEL_ARCH_NAMES.values()}
    return str(names.get(kind.replace("_", ""), ""))


def problems(config: ModelConfig) -> Iterator[str]:
    """Yield why llama.cpp would compute something else than transformers, or nothing at all."""
    kind = name_of(config)
    try:
        arch = architecture_for(config)
    except BadInput:
        yield (
            f"models of type {config.model_type!r} can't be written as GGUF here: use llama.cpp's convert_hf_to_gguf.py"
        )
        return
    if not kind or arch.is_encoder or arch.has_experts:
        reason = "encoders have no next token" if arch.is_encoder else "llama.cpp has no such type"
        remedy = "export to ONNX or OpenVINO"
        if arch.has_experts:
            reason, remedy = "experts are not written here", "use llama.cpp's convert_hf_to_gguf.py on the 16-bit model"
        yield f"models of type {config.model_type!r} can't be written as GGUF: {reason}; {remedy}"
        return
    if rope_kind(config) not in ROPES:
        yield f"positions scaled by {rope_kind(config)!r} can't be written as GGUF here"
    if getattr(config, "alibi", False) or getattr(config, "qk_layernorm", False):
        yield "llama.cpp does not read ALiBi in a Falcon, nor norms of queries and keys in a StableLM"
    divisor = getattr(config, "query_pre_attn_scalar", None)
    if divisor not in (None, _attention_divisor(config, arch)):
        yield f"llama.cpp divides attention by the root of {_attention_divisor(config, arch)}, and here it is {divisor}"
    period = arch.runtimes.llama_period
    if period and not _has_period(config, period):
        yield f"llama.cpp takes every {period}th layer of a {kind} for the other kind, and here it is not"
    local = _rope_of_windows(config).get("rope_theta", LOCAL_BASE)
    if local != LOCAL_BASE:
        yield f"layers with a window turn positions with base {local}, and llama.cpp takes {LOCAL_BASE}"


def _has_period(config: Any, every: int) -> bool:
    """Return whether each `every`-th layer, and no other, is full or without positions."""
    kinds = getattr(config, "no_rope_layers", None)
    if kinds is not None:  # 1 where positions are turned
        return all(bool(turned) == bool((number + 1) % every) for number, turned in enumerate(kinds))
    return all((name == "full_attention") == (not (n + 1) % every) for n, name in enumerate(config.layer_types))


def _attention_divisor(config: ModelConfig, arch: Architecture) -> int:
    """Return by the root of what llama.cpp divides the attention scores of a Gemma."""
    wide = config.num_hidden_layers == arch.runtimes.llama_wide_at
    return config.hidden_size // config.num_attention_heads if wide else head_size(config)


def rope_kind(config: ModelConfig) -> str:
    """Return how positions are scaled."""
    return str(_rope(config).get("rope_type") or "default")


def _rope(config: ModelConfig) -> dict[str, Any]:
    """Return how positions are turned, by the layers that see all where these differ from others."""
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    return rope.get("full_attention") or {} if "full_attention" in rope else rope


def _rope_of_windows(config: ModelConfig) -> dict[str, Any]:
    """Return how the layers with a window turn positions, where these differ from others."""
    return (getattr(config, "rope_parameters", None) or {}).get("sliding_attention") or {}


def tensor_names(config: ModelConfig) -> Any:
    """Return gguf's map from transformers' names to llama.cpp's."""
    import gguf

    arch = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[name_of(config)]
    return gguf.get_tensor_name_map(arch, config.num_hidden_layers)


def row_order(name: str, config: ModelConfig, rows: int) -> NDArray[Any] | None:
    """Return the order of the rows of a projection of heads as llama.cpp has it; None where they stay."""
    import numpy as np

    arch, size = architecture_for(config), head_size(config)
    if not any(f".{path}." in name for path in arch.queries):
        return None
    if arch.is_fused and arch.fused == "groups":
        return _grouped(arch, config, size)
    if arch.is_fused or not arch.runtimes.llama_turns_pairs or f".{arch.queries[2]}." in name:
        return None
    return np.arange(rows).reshape(rows // size, 2, size // 2).swapaxes(1, 2).reshape(-1)


def _grouped(arch: Architecture, config: ModelConfig, size: int) -> NDArray[Any]:
    """Return the rows of a fused projection that lie group by group as all queries, all keys, all values."""
    import numpy as np

    groups = key_value_heads(config)
    by_group = np.arange((config.num_attention_heads + 2 * groups) * size).reshape(groups, -1, size)
    return np.concatenate([by_group[:, :-2].reshape(-1), by_group[:, -2].reshape(-1), by_group[:, -1].reshape(-1)])


def shift(name: str, config: ModelConfig) -> float:
    """Return what is added to a weight: llama.cpp multiplies by a norm's weight as it is."""
    return architecture_for(config).norm_offset if name.endswith("norm.weight") else 0.0


def rope_factors(model: PretrainedModel) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tensors that say by how much each frequency is divided, by name."""
    import numpy as np
    import torch

    kind, rope = rope_kind(model.config), _rope(model.config)
    if kind == "longrope":
        yield "rope_factors_long.weight", np.array(rope["long_factor"], dtype=np.float32)
        yield "rope_factors_short.weight", np.array(rope["short_factor"], dtype=np.float32)
    if kind == "llama3":
        scaled = model.base_model.get_buffer("rotary_emb.inv_freq").float().cpu()
        # transformers keeps the scaled frequencies alone; llama.cpp wants the divisors
        base = rope["rope_theta"] ** -(torch.arange(len(scaled)) / len(scaled))
        yield "rope_freqs.weight", (base / scaled).numpy()


def add_sizes(writer: Any, config: Any, name: str) -> None:
    """Write the sizes and settings of the model."""
    arch, size = architecture_for(config), head_size(config)
    writer.add_name(name)
    writer.add_context_length(context_length(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    # GPT-2 leaves it out where it is 4 times the hidden size
    writer.add_feed_forward_length(getattr(config, arch.unit_field, None) or 4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(key_value_heads(config))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_vocab_size(config.vocab_size)
    if getattr(config, "rms_norm_eps", None) is not None:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    else:
        names = ("layer_norm_eps", "layer_norm_epsilon")
        writer.add_layer_norm_eps(next(getattr(config, one) for one in names if hasattr(config, one)))
    _add_rope(writer, config, size)
    if hasattr(config, "use_parallel_residual"):
        writer.add_parallel_residual(config.use_parallel_residual)
    if arch.runtimes.llama_layout:
        writer.add_tensor_data_layout(arch.runtimes.llama_layout)
    if arch.runtimes.llama_keeps_window:
        writer.add_sliding_window(config.sliding_window)
    for field, add in (
        ("attn_logit_softcapping", writer.add_attn_logit_softcapping),
        ("final_logit_softcapping", writer.add_final_logit_softcapping),
        ("attention_multiplier", writer.add_attention_scale),
        ("embedding_multiplier", writer.add_embedding_scale),
        ("residual_multiplier", writer.add_residual_scale),
        ("logits_scaling", writer.add_logit_scale),
    ):
        if getattr(config, field, None):
            add(float(getattr(config, field)))


def context_length(config: Any) -> int:
    """Return how many tokens the file is for: within a window that llama.cpp does not keep to."""
    longest, window = int(config.max_position_embeddings), getattr(config, "sliding_window", None)
    # beyond, llama.cpp takes other factors for the whole text as soon as there is room for a longer one
    longest = min(longest, alike_positions(config) or longest)
    keeps_window = runtimes_of(config).llama_keeps_window or not getattr(config, "use_sliding_window", True)
    return longest if keeps_window or not window else min(longest, int(window))


def _add_rope(writer: Any, config: Any, size: int) -> None:
    """Write how positions are turned."""
    import gguf

    rope = _rope(config)
    if not rope:
        return
    writer.add_rope_dimension_count(int(size * (rope.get("partial_rotary_factor") or 1)))
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))
    if rope_kind(config) == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    if rope_kind(config) == "longrope":
        old = rope["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(old)
        writer.add_rope_scaling_attn_factors(_attention_factor(rope, config.max_position_embeddings / old))


def _attention_factor(rope: dict[str, Any], scale: float) -> float:
    """Return by how much LongRoPE scales attention: as transformers has it (Ding et al. 2024)."""
    factor = rope.get("attention_factor")
    if factor is not None:
        return float(factor)
    scale = rope.get("factor") or scale
    return 1.0 if scale <= 1 else math.sqrt(1 + math.log(scale) / math.log(rope["original_max_position_embeddings"]))
