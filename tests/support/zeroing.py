"""What the tests of pruning to zeros share: small models of the kinds that are no Qwen3, and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import running
import tiny
from potstill import Pipeline
from potstill.engine.progress import Silent


def made(store: Path, **steps: Any) -> Any:
    """Run steps in this process; return what they made by name."""
    return Pipeline("test", outputs=steps).run(store=store, executor=running.Here(), watcher=Silent())


def gpt2(folder: Path) -> Path:
    """Save a GPT-2 with random weights and the tokenizer of `tiny`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tiny.tokenizer(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=2, n_positions=256, bos_token_id=0, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def classifier(folder: Path) -> Path:
    """Save a BERT with random weights that names one of two classes."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tiny.encoder(folder)
    torch.manual_seed(0)
    names = {"id2label": {0: "light", 1: "other"}, "label2id": {"light": 0, "other": 1}}
    BertForSequenceClassification(BertConfig.from_pretrained(folder, **names)).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> Any:
    """Return the classifier in `folder`."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder)


def labelled(count: int = 24) -> list[dict[str, str]]:
    """Return texts and their classes."""
    result = [
        {"text": text, "label": "light" if "light" in text else "other"} for text in tiny.CORPUS if "{" not in text
    ]
    return [result[number % len(result)] for number in range(count)]


def texts() -> Any:
    """Return texts as a step gets them."""
    from datasets import Dataset

    return Dataset.from_list(labelled())
