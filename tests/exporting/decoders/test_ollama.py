from __future__ import annotations

import re

import pytest
from transformers import AutoTokenizer, GenerationConfig

import tiny
from potstill.exporting.decoders.ollama import FORMS, form_of, modelfile

LLAMA3 = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


@pytest.fixture
def tokenizer(tmp_path):
    return AutoTokenizer.from_pretrained(tiny.tokenizer(tmp_path))


def test_chatml_is_known_by_what_it_writes(tokenizer):
    result = modelfile(tokenizer, "model.gguf")
    assert result.kind == "ChatML"
    assert result.text == (
        "FROM ./model.gguf\n"
        'TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}'
        '<|im_start|>assistant\n"""\n'
        'PARAMETER stop "<|im_end|>"\n'
        "PARAMETER temperature 0\n"
    )


def test_llama_3s_form_is_known_and_its_end_of_turn_stops(tokenizer):
    tokenizer.chat_template = LLAMA3
    result = modelfile(tokenizer, "model.gguf")
    assert result.kind == "Llama 3"
    assert 'PARAMETER stop "<|eot_id|>"' in result.text


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
    result = modelfile(tokenizer, "model.gguf")
    assert "TEMPLATE" not in result.text
    assert "llama-server --jinja" in result.kind


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


def read_by_ollama(text):
    """Return the (name, value) pairs of a Modelfile, by the rules of Ollama's own parser.

    A value ends with the first line after which its quotes are closed, whatever stands between them.
    """
    pairs, held = [], ""
    for line in re.split(r"(?<=[\r\n])", text):
        held += "".join(letter for letter in line if letter.isprintable() or letter in "\r\n\t")
        name, _, value = held.lstrip("\r\n").partition(" ")
        if name == "PARAMETER":
            name, _, value = value.partition(" ")
        value = value.strip()
        marks = next((marks for marks in ('"""', '"') if value.startswith(marks)), "")
        if name and len(value) >= 2 * len(marks) and value.endswith(marks):
            pairs.append((name, value[len(marks) : len(value) - len(marks)]))
            held = ""
    assert not held.strip()
    return pairs


@pytest.mark.parametrize(
    "end",
    [
        "</s>",
        "<\N{FULLWIDTH VERTICAL LINE}end▁of▁sentence\N{FULLWIDTH VERTICAL LINE}>",
        'say "x"',
        '"',
        '""',
        '"x',
        "a\\nb",
        "line\nbreak",
        'a"\nb',
        " spaces ",
        "tab\tend",
        "é\\",
    ],
)
def test_ollama_reads_a_stop_as_it_is(tokenizer, end):
    tokenizer.eos_token, tokenizer.chat_template = end, None
    text = modelfile(tokenizer, "model.gguf").text
    assert read_by_ollama(text) == [("FROM", "./model.gguf"), ("stop", end), ("temperature", "0")]


@pytest.mark.parametrize("end", ["a\0b", "\x1b[31m", "zero\u200bwidth", 'x"""\nADAPTER ./evil'])
def test_a_stop_that_ollama_would_read_otherwise_is_left_out(tokenizer, end):
    tokenizer.eos_token, tokenizer.chat_template = end, None
    assert read_by_ollama(modelfile(tokenizer, "model.gguf").text) == [("FROM", "./model.gguf"), ("temperature", "0")]


@pytest.mark.parametrize("system", ["You help.", 'Say "hi"', '"', 'a"\n\nb', 'x"""\nADAPTER ./evil', "\x1b[31mred"])
def test_a_system_prompt_of_a_template_adds_no_line(tokenizer, system):
    added = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + system + "<|im_end|>\n{% endif %}"
    tokenizer.chat_template = added + tokenizer.chat_template
    pairs = read_by_ollama(modelfile(tokenizer, "model.gguf").text)
    said = [system] if '"""' not in system and "\x1b" not in system else []
    assert [value for name, value in pairs if name == "SYSTEM"] == said
    assert {name for name, _ in pairs} <= {"FROM", "TEMPLATE", "stop", "temperature", "SYSTEM"}


@pytest.mark.parametrize(
    "value", ["0.7\nADAPTER ./evil\nSYSTEM bad", "0.7", float("nan"), float("inf"), True, [1], {"a": 1}]
)
def test_sampling_takes_numbers_only(tokenizer, value):
    settings = GenerationConfig(do_sample=True, top_k=20)
    for name in ("temperature", "top_p", "repetition_penalty"):
        setattr(settings, name, value)
    pairs = read_by_ollama(modelfile(tokenizer, "model.gguf", settings).text)
    assert [pair for pair in pairs if pair[0] not in ("FROM", "TEMPLATE", "stop")] == [("top_k", "20")]
