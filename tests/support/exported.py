"""Tiny models of the types that are exported, with weights large enough that a wrong one shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny
from potstill.exporting.exporter import Source

HIDDEN, LAYERS = 64, 2


def causal(folder: Path, kind: str = "qwen3", hidden: int = HIDDEN, **changes: Any) -> Path:
    """Save a model of type `kind` (llama, qwen2 or qwen3) with random weights and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tiny.tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **({"head_dim": 32} if kind == "qwen3" else {}),
    }
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**sizes, **changes}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # biases and norms too: a forgotten one must show
            weight.add_(torch.randn(weight.shape) * (0.1 if weight.dim() > 1 else 0.2))
            weight.copy_(weight.to(torch.bfloat16)) if "norm" not in name else None
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def source(folder: Path) -> Source:
    """Load a model as it is exported."""
    from potstill.steps.exporting.language_model import load

    return load(str(folder), quantized=False)


def ids(count: int = 24) -> list[int]:
    """Return token ids of a text."""
    return [(7 * number) % 250 + 3 for number in range(count)]


def quantization(bits: int) -> dict[str, Any]:
    """Return what the config of a quantized model says, as far as exports read it."""
    groups = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": bits, "type": "int", "symmetric": True}}}
    return {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}
