"""Every way to load a model bounds its attention's logits where its config says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import kinds_of_models
import tiny

IDS = torch.tensor([[3, 9, 27, 4, 12, 36, 8, 24]])


def teacher(folder: Path) -> Any:
    from potstill.teachers.transformers import Transformers

    with Transformers(str(folder), dtype="float32").open(threads=1) as session:
        return session.model


def search(folder: Path) -> Any:
    from potstill.teachers.search import Decoder

    return Decoder(folder, "float32", 1).model


def student(folder: Path) -> Any:
    from potstill.trainers.loop.student_model import load_model

    return load_model(folder, torch.float32)


def adapted(folder: Path) -> Any:
    from potstill.trainers.loop.lora import LoRA, load_base

    return load_base(folder, LoRA(), torch.float32)


def compressed(folder: Path) -> Any:
    from potstill.models.folder import with_head

    return with_head(folder)


def exported(folder: Path) -> Any:
    from potstill.steps.exporting.language_model import load

    return load(str(folder), quantized=False).model


@pytest.mark.parametrize("load", [teacher, search, student, adapted, compressed, exported])
def test_logits_are_those_of_eager_attention(tmp_path: Path, load: Any) -> None:
    tiny.tokenizer(tmp_path, 300)
    kinds_of_models.causal(tmp_path, "gemma2", attn_logit_softcapping=2.0, vocab_size=300)
    eager, default = (
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path, **options).eval()
        for options in ({"attn_implementation": "eager"}, {"attn_implementation": "sdpa"})
    )
    loaded = load(tmp_path).eval()
    with torch.no_grad():
        expected, uncapped, own = (model(input_ids=IDS).logits for model in (eager, default, loaded))
    assert (uncapped - expected).norm() > 1e-3 * expected.norm()
    torch.testing.assert_close(own, expected)


@pytest.mark.parametrize(("kind", "attention"), [("gemma2", "eager"), ("gemma3", "sdpa"), ("llama", "sdpa")])
def test_only_models_with_a_bound_take_the_slower_way(tmp_path: Path, kind: str, attention: str) -> None:
    kinds_of_models.causal(tmp_path, kind)
    assert student(tmp_path).config._attn_implementation == attention
