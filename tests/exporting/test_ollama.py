from __future__ import annotations

import pytest
from transformers import AutoTokenizer, GenerationConfig

import tiny
from potstill.exporting.ollama import FORMS, form_of, modelfile

LLAMA3 = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


@pytest.fixture
def tokenizer(tmp_path):
    return AutoTokenizer.from_pretrained(tiny.tokenizer(tmp_path))


def test_chatml_is_known_by_what_it_writes(tokenizer):
    made = modelfile(tokenizer, "model.gguf")
    assert made.kind == "ChatML"
    assert made.text == (
        "FROM ./model.gguf\n"
        'TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}'
        '<|im_start|>assistant\n"""\n'
        'PARAMETER stop "<|im_end|>"\n'
        "PARAMETER temperature 0\n"
    )


def test_llama_3s_form_is_known_and_its_end_of_turn_stops(tokenizer):
    tokenizer.chat_template = LLAMA3
    made = modelfile(tokenizer, "model.gguf")
    assert made.kind == "Llama 3"
    assert 'PARAMETER stop "<|eot_id|>"' in made.text


def test_a_system_prompt_that_the_template_adds_is_ollamas_too(tokenizer):
    added = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    tokenizer.chat_template = added + tokenizer.chat_template
    assert 'SYSTEM """You help."""' in modelfile(tokenizer, "model.gguf").text


@pytest.mark.parametrize(
    "template",
    ["{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}", "{{ raise_exception('no') }}"],
)
def test_another_form_has_no_template_and_says_why(tokenizer, template):
    tokenizer.chat_template = template
    made = modelfile(tokenizer, "model.gguf")
    assert "TEMPLATE" not in made.text
    assert "llama-server --jinja" in made.kind


def test_without_a_chat_template_there_is_none(tokenizer):
    tokenizer.chat_template = None
    assert form_of(tokenizer) is None
    assert modelfile(tokenizer, "model.gguf").kind == "none: the tokenizer has no chat template"


def test_sampling_is_that_of_the_generation_config(tokenizer):
    sampling = GenerationConfig(do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.1)
    text = modelfile(tokenizer, "model.gguf", sampling).text
    assert "PARAMETER temperature 0.7\nPARAMETER top_p 0.8\nPARAMETER top_k 20\nPARAMETER repeat_penalty 1.1\n" in text


def test_each_form_ends_where_its_answer_starts():
    chat = [{"role": "user", "content": "One?"}]
    for form in FORMS:
        assert form.template.endswith(form.render(chat).partition("One?")[2].removeprefix(form.stops[0]).lstrip("\n"))
