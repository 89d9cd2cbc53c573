from __future__ import annotations

import pytest
from transformers import AutoTokenizer

import tiny
from chat_templates import GEMMA, LLAMA_2, LLAMA_3, NO_ANSWERS, PHI_3, PLAIN, THINKING
from potstill.errors import BadInput
from potstill.models.chat import encode, end_of_turn, prompt_ids

MESSAGES = [{"role": "system", "content": "Answer with JSON."}, {"role": "user", "content": "turn on the light"}]


@pytest.fixture
def tokenizer(tmp_path):
    return AutoTokenizer.from_pretrained(tiny.tokenizer(tmp_path))


def test_text_is_prompt_answer_and_end_of_turn(tokenizer):
    ids, prompt = encode(tokenizer, MESSAGES, '{"device":"light"}')
    assert ids[:prompt] == prompt_ids(tokenizer, MESSAGES)
    assert tokenizer.decode(ids[prompt:]) == '{"device":"light"}<|im_end|>'
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[:prompt]).endswith("turn on the light<|im_end|>\n<|im_start|>assistant\n")


def test_the_answer_does_not_merge_with_the_prompt(tokenizer):
    for answer in ("\nx", " on", ""):
        ids, prompt = encode(tokenizer, MESSAGES, answer)
        assert ids[:prompt] == prompt_ids(tokenizer, MESSAGES)


def test_a_tokenizer_that_can_not_chat_is_refused_with_all_reasons(tokenizer):
    tokenizer.chat_template = None
    tokenizer.eos_token = None
    with pytest.raises(BadInput) as caught:
        encode(tokenizer, MESSAGES, "x")
    assert "no chat template" in str(caught.value)
    assert "no eos_token" in str(caught.value)


ENDS = {
    "<end_of_turn>": GEMMA,
    "<|end|>": PHI_3,
    "<|eot_id|>": LLAMA_3,
    "<|im_end|>": THINKING,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_turn_ends_as_the_template_ends_it(tokenizer, end):
    tokenizer.add_special_tokens({"additional_special_tokens": [end]})
    tokenizer.eos_token, tokenizer.chat_template = "<|endoftext|>", ENDS[end]
    ids, _ = encode(tokenizer, MESSAGES[1:], "on")
    assert tokenizer.decode(ids).endswith(f"on{end}")
    whole = [*MESSAGES[1:], {"role": "assistant", "content": "on"}]
    assert f"on{end}" in tokenizer.apply_chat_template(whole, tokenize=False)


@pytest.mark.parametrize("template", [LLAMA_2, PLAIN, NO_ANSWERS])
def test_a_template_without_an_end_of_its_own_ends_turns_as_texts(tokenizer, template):
    tokenizer.chat_template = template
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id


def test_another_template_has_another_end(tokenizer):
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.chat_template = PLAIN
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id
    tokenizer.chat_template = THINKING
    assert tokenizer.convert_ids_to_tokens([end_of_turn(tokenizer)]) == ["<|im_end|>"]


def test_named_templates_need_a_default(tokenizer):
    tokenizer.chat_template = {"tool_use": PLAIN, "rag": PLAIN}
    with pytest.raises(BadInput, match="chat templates rag, tool_use, and none of them is called default"):
        prompt_ids(tokenizer, MESSAGES)


@pytest.mark.parametrize("refusal", ["{{ raise_exception('System role not supported') }}", ""])
def test_a_template_without_a_system_role_reads_the_text_with_the_user(tokenizer, refusal):
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}" + refusal + "{% else %}"
        "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    )
    assert "user\nAnswer with JSON.\n\nturn on the light<|im_end|>" in tokenizer.decode(prompt_ids(tokenizer, MESSAGES))
