"""Tiny models of the types whose layers are not all alike, by how their configs say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": 60,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
LATENT = {
    "num_key_value_heads": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    **EXPERTS,
}
SLIDING = {"sliding_window": 8}
LAST_FULL = {"layer_types": ["sliding_attention"] * 3 + ["full_attention"], **SLIDING}
CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "gemma2": ("gemma2", {**SLIDING, "query_pre_attn_scalar": 16}),
    "gemma3": ("gemma3_text", {**LAST_FULL, "query_pre_attn_scalar": 16}),
    "gemma4": ("gemma4_text", {**LAST_FULL, "hidden_size_per_layer_input": 0}),
    "gpt-oss": ("gpt_oss", {**EXPERTS, **SLIDING}),
    "olmo3": ("olmo3", LAST_FULL),
    "cohere2": ("cohere2", LAST_FULL),
    "exaone4": ("exaone4", LAST_FULL),
    "smollm3": ("smollm3", {}),
    "qwen3.5": ("qwen3_5_text", LINEAR),
    "qwen3-moe": ("qwen3_moe", {**EXPERTS, "decoder_sparse_step": 2, "mlp_only_layers": [3]}),
    "deepseek-v3": ("deepseek_v3", {**LATENT, "first_k_dense_replace": 2}),
    "llama4": (
        "llama4_text",
        {**EXPERTS, "intermediate_size_mlp": 64, "attention_chunk_size": 32, "interleave_moe_layer_step": 2},
    ),
    "gpt-neo": (
        "gpt_neo",
        {
            "num_layers": 4,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 2]],
            "window_size": 8,
        },
    ),
}
"""Name: model type and what differs from `SIZES`."""


def causal(folder: Path, name: str, **changes: Any) -> Path:
    """Save the causal model `name` of `CAUSAL` with random weights, large enough that each layer shows."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, own = CAUSAL[name]
    fields = {**SIZES, **own, **changes}
    known = AutoConfig.for_model(kind)
    names = set(vars(known)) | set(getattr(known, "attribute_map", {}))
    config = AutoConfig.for_model(kind, **{key: value for key, value in fields.items() if key in names or key in own})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape) * 0.1)
    model.save_pretrained(folder)
    return folder
