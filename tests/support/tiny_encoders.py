"""Tiny classifiers and sentence encoders, with weights large enough that a wrong one shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny

NAMES = ("light", "heating", "blinds")


def classifier(folder: Path, kind: str = "bert", **changes: Any) -> Path:
    """Save a sequence classifier of model type `kind` with its tokenizer."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    _tokenizer(folder, ["token_type_ids"] if kind in ("bert", "electra") else [])
    sizes = json.loads((folder / "config.json").read_text())
    # DistilBERT has names of its own
    config = AutoConfig.for_model(kind, **{name: sizes[name] for name in SIZES}, **_labels(), **changes)
    if kind == "distilbert":
        config.dim, config.hidden_dim, config.n_layers, config.n_heads = 32, 64, 2, 2
    _save(AutoModelForSequenceClassification.from_config(config), folder)
    return folder


def sentence_encoder(folder: Path) -> Path:
    """Save a sentence encoder: a BERT, mean pooling, a linear layer to 24 numbers, length 1."""
    from transformers import BertConfig, BertModel

    _tokenizer(folder, ["token_type_ids"])
    _save(BertModel(BertConfig.from_pretrained(folder)), folder)
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(str(folder), max_seq_length=32)
    modules = [transformer, Pooling(32, "mean"), Dense(32, 24, activation_function=torch.nn.Identity()), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "pad_token_id",
)


def _tokenizer(folder: Path, more: list[str]) -> None:
    """Save a tiny tokenizer that also makes the inputs `more`, and a model to be replaced."""
    tiny.encoder(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "attention_mask", *more]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _labels() -> dict[str, Any]:
    return {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}


def _save(model: Any, folder: Path) -> None:
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            # biases and norms too: a forgotten one must show
            weight.add_(torch.randn(weight.shape) * 0.2)
    model.save_pretrained(folder)
