"""Tiny models of every known type with random weights, for the tests of methods that cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

import compressing
import tiny
from potstill.compression.architecture import with_linear_layers, with_own_layers

SIZES = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
COMMON = {"max_position_embeddings": 64, "pad_token_id": 0}
KINDS = {
    "qwen3": (
        "Qwen3ForCausalLM",
        {"head_dim": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "tie_word_embeddings": True},
    ),
    "llama": ("LlamaForCausalLM", {"num_attention_heads": 4, "num_key_value_heads": 2}),
    "qwen2": ("Qwen2ForCausalLM", {"num_attention_heads": 4, "num_key_value_heads": 2}),
    "gpt2": ("GPT2LMHeadModel", {"num_attention_heads": 4, "bos_token_id": 1, "eos_token_id": 2}),
    "bert": ("BertForSequenceClassification", {"num_attention_heads": 4, "num_labels": 3}),
    "roberta": ("RobertaForSequenceClassification", {"num_attention_heads": 4, "num_labels": 3}),
    "bert-mlm": ("BertForMaskedLM", {"num_attention_heads": 4}),
}


def model(kind: str, seed: int = 0, **changes: Any) -> Any:
    """Return a model in memory whose layers are linear; weights are spread, so that outputs differ visibly."""
    name, own = KINDS[kind]
    config = getattr(transformers, name).config_class
    sizes = {**SIZES, **COMMON, **own, **changes}
    if kind == "gpt2":
        sizes["n_inner"] = sizes.pop("intermediate_size")
    torch.manual_seed(seed)
    result = getattr(transformers, name)(config(**sizes, initializer_range=0.1)).eval()
    for parameter in result.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    with_linear_layers(result)
    return result


def ids(count: int = 4, length: int = 12) -> torch.Tensor:
    """Return token ids [count, length]."""
    return torch.randint(3, SIZES["vocab_size"], (count, length), generator=torch.Generator().manual_seed(5))


def logits(made: Any, tokens: torch.Tensor | None = None) -> torch.Tensor:
    """Return the logits of a model."""
    with torch.no_grad():
        return made(input_ids=ids() if tokens is None else tokens).logits.float()


def folder(path: Path, kind: str, **changes: Any) -> Path:
    """Save a model with a tokenizer that it goes with; classifiers know the classes a, b and c."""
    classifies = kind in ("bert", "roberta")
    _ = tiny.encoder(path) if classifies else tiny.tokenizer(path)
    own = (
        {"id2label": dict(enumerate("abc")), "label2id": dict(zip("abc", range(3), strict=True))} if classifies else {}
    )
    result = model(kind, **{"vocab_size": 400, "max_position_embeddings": 512, **own, **changes})
    with_own_layers(result)
    result.save_pretrained(path)
    return path


def run(step: Any, path: Path, rows: Any, tmp_path: Path, name: str = "out") -> tuple[Path, Any]:
    """Run a step on a model folder; return its folder and its context."""
    context = compressing.context(tmp_path, name)
    return step.run(str(path), rows, context), context


def texts(count: int = 24) -> Any:
    """Return rows of texts with a class."""
    from datasets import Dataset

    words = " ".join(tiny.CORPUS).split()
    lines = [" ".join(words[number : number + 9]) for number in range(count)]
    return Dataset.from_list([{"text": line, "class": "abc"[number % 3]} for number, line in enumerate(lines)])
