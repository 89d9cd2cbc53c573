"""Models that earlier versions computed wrongly are marked in keys, and no others."""

from __future__ import annotations

import json

import pytest
from transformers import AutoTokenizer

import kinds_of_models
import tiny
from chat_templates import GEMMA, LLAMA_2, LLAMA_3, NO_ANSWERS, PHI_3, PLAIN, THINKING
from potstill.engine.keys.identity import explain, key_of, step_identity
from potstill.models.chat import end_of_turn
from potstill.models.corrected import corrections
from potstill.steps import KeepLayers
from potstill.trainers import HardLabel, LoRA


@pytest.fixture(scope="module")
def chatml(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("corrected") / "model")


def with_template(folder, template):
    """Save the tiny tokenizer with another chat template and Gemma's and Phi-3's ends of turn."""
    tokenizer = AutoTokenizer.from_pretrained(tiny.tokenizer(folder))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end_of_turn>", "<|end|>", "<|eot_id|>"]})
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


def identity(step):
    return step_identity(step, lambda node: None, {})


def test_most_models_need_no_correction(chatml, tmp_path):
    assert corrections(chatml, {"lora"}) == {}
    assert corrections(tmp_path) == {}
    assert "corrected" not in identity(KeepLayers(str(chatml)))


def test_a_bound_on_attention_is_marked(tmp_path):
    folder = kinds_of_models.causal(tmp_path, "gemma2")
    marked = identity(KeepLayers(str(folder)))
    assert marked["corrected"] == {"attention": "bounded as the config says"}
    earlier = {name: part for name, part in marked.items() if name != "corrected"}
    assert key_of(earlier) != key_of(marked)
    assert explain(earlier, marked) == ["attention was computed wrongly before"]


def test_experts_are_marked_for_adapters_alone(tmp_path):
    folder = kinds_of_models.causal(tmp_path, "qwen3-moe")
    assert "corrected" not in identity(HardLabel([], student=str(folder)))
    marked = identity(HardLabel([], student=str(folder), lora=LoRA()))
    assert marked["corrected"] == {"adapters": "of experts and not of routers"}


@pytest.mark.parametrize("template", [GEMMA, LLAMA_2, LLAMA_3, NO_ANSWERS, PHI_3, PLAIN, THINKING])
def test_an_end_of_turn_is_marked_where_it_is_not_the_end_of_a_text(tmp_path, template):
    folder = with_template(tmp_path, template)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    end = end_of_turn(tokenizer)
    expected = {} if end == tokenizer.eos_token_id else {"end of turn": tokenizer.convert_ids_to_tokens(end)}
    assert corrections(folder) == expected


def test_a_template_that_is_no_template_marks_nothing(tmp_path):
    assert corrections(with_template(tmp_path, "{% if %}")) == {}
    assert corrections(with_template(tmp_path, GEMMA)) == {"end of turn": "<end_of_turn>"}
