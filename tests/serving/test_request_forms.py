"""Requests are read as OpenAI's clients send them; everything that is wrong with one is named."""

from __future__ import annotations

from typing import Any

import pytest

from potstill.errors import BadInput
from potstill.serving.request_forms import WrongModel, chat_question, classify_question, embeddings_question

CHAT = [{"role": "user", "content": "hello"}]


def test_a_chat_is_drawn_as_openai_says_unless_the_request_does() -> None:
    question = chat_question({"messages": CHAT}, "m")
    assert question.messages == CHAT and not question.stream and not question.usage
    assert question.sampling["temperature"] == 1.0 and question.sampling["top_p"] == 1.0
    body = {"messages": CHAT, "model": "m", "stop": "end", "max_completion_tokens": 7, "seed": 5, "user": "x", "n": 1}
    question = chat_question({**body, "stream": True, "stream_options": {"include_usage": True}, "tools": None}, "m")
    assert question.stops == ["end"] and question.sampling["max_tokens"] == 7 and question.seed == 5
    assert question.stream and question.usage


def test_parts_of_text_are_one_text_and_a_developer_is_the_system() -> None:
    content = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    chat = [{"role": "developer", "content": "be short"}, {"role": "user", "content": content}]
    assert chat_question({"messages": chat}, "m").messages == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "one two"},
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only texts are read"),
        ({"messages": [{"role": "user"}]}, r"messages \[0\] is a text"),
        ({"max_tokens": True}, "max_tokens is a whole number"),
        ({"max_tokens": 1.5}, "max_tokens is a whole number"),
        ({"temperature": "warm"}, "temperature is a number from 0 to 2"),
        ({"top_p": 0}, "top_p is a number above 0"),
        ({"stop": [""]}, "stop is a text"),
        ({"stream": 1}, "stream is true or false"),
        ({"n": 2}, "'n' is not served with that value"),
        ({"n": True}, "'n' is not served with that value"),
        ({"logprobs": True}, "'logprobs' is not served"),
        ({"response_format": {"type": "json_object"}}, "'response_format' is not served"),
        ({"temprature": 1}, "'temprature' is not known"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        chat_question({"messages": CHAT, **change}, "m")


def test_all_problems_come_together_and_another_model_is_told_apart() -> None:
    with pytest.raises(BadInput) as raised:
        chat_question({"temperature": 5, "stop": 1, "what": 2}, "m")
    assert len(raised.value.problems) == 4
    with pytest.raises(WrongModel, match="'m' is"):
        chat_question({"messages": CHAT, "model": "other"}, "m")


def test_texts_come_as_one_or_many() -> None:
    assert embeddings_question({"input": "a"}, "m").texts == ["a"]
    assert embeddings_question({"input": ["a", "b"], "encoding_format": "base64"}, "m").base64
    assert classify_question({"texts": ["a"]}, "m").texts == ["a"]
    for body in ({}, {"texts": "a"}, {"texts": []}, {"texts": [1]}, {"texts": ["a"] * 3_000}):
        with pytest.raises(BadInput, match="texts"):
            classify_question(body, "m")
    with pytest.raises(BadInput, match="dimensions"):
        embeddings_question({"input": "a", "dimensions": 3}, "m")
    with pytest.raises(BadInput, match=r"input \[0\] is a text"):
        embeddings_question({"input": [[1, 2]]}, "m")
