from __future__ import annotations

import pytest
from transformers import AutoTokenizer

import tiny
from potstill.errors import BadInput
from potstill.models.chat import encode, prompt_ids

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
