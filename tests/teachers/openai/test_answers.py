"""An answer is read whatever form a server gives it, and one that says nothing is nobody's label."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from typing import Any

import pytest

from potstill.teachers.openai.answers import (
    ENDINGS,
    ErrorInside,
    UnreadableAnswer,
    choice_of,
    content_of,
    ending,
    loads,
    response_of,
    usage_of,
)
from potstill.teachers.openai.budget import FREE, Price
from potstill.teachers.protocol import Request, Response, Sampling, Usage
from potstill.teachers.response_codec import interpreted, pack, storable, unpack

PRICE = Price(prompt=1.0, completion=10.0)
HELLO = "Berlin"
THOUGHT = "hm"


def read(message: Any, finish: Any = "stop", **choice: Any) -> Response:
    return response_of({"message": message, "finish_reason": finish, **choice}, Usage(3, 2), 100)


@pytest.mark.parametrize(
    "content",
    [
        HELLO,
        [HELLO],
        [{"type": "text", "text": HELLO}],
        [{"type": "output_text", "text": HELLO}],
        [{"text": HELLO}],
        {"type": "text", "text": HELLO},
        [{"type": "text", "text": "Ber"}, {"type": "text", "text": "lin"}],
        [{"type": "text", "text": {"value": HELLO}}],
        [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": HELLO}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": HELLO}],
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}, HELLO],
        [{"type": "redacted_thinking", "data": "xyz"}, HELLO],
        [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": HELLO}],
        [[HELLO]],
    ],
)
def test_every_form_of_a_content_is_read(content: Any) -> None:
    response = read({"role": "assistant", "content": content})
    assert (response.text, response.finish_reason) == (HELLO, "stop")
    assert response.reasoning in ("", THOUGHT)
    assert (response.reasoning == THOUGHT) == (THOUGHT in json.dumps(content))


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": THOUGHT},
        {"reasoning": THOUGHT},
        {"thinking": THOUGHT},
        {"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
        {"reasoning_content": "", "reasoning": {"content": [{"text": THOUGHT}]}},
    ],
)
@pytest.mark.parametrize("content", [HELLO, "", None, []])
def test_thoughts_are_apart_wherever_the_server_puts_them(fields: Any, content: Any) -> None:
    response = read({"content": content, **fields})
    assert (response.text, response.reasoning) == (content or "", THOUGHT)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": None, "refusal": "I can't help with that"}, "the model refused: I can't help with that"),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "the model refused: no"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "called a tool"),
        ({"content": "let me look", "function_call": {"name": "f"}}, "called a tool"),
        ({"content": [{"type": "image_url", "image_url": {}}]}, "no text, but parts of other kinds: image_url"),
        ({"content": 5}, "no text, but parts of other kinds: int"),
    ],
)
def test_what_is_no_answer_is_lost_for_good_with_the_reason_and_its_cost(message: Any, reason: str) -> None:
    response = response_of({"message": message, "finish_reason": "stop"}, Usage(3, 2, 0.5), 100)
    assert response.finish_reason == "error"
    assert reason in response.text
    assert (response.retryable, response.unusable) == (False, True)
    assert (response.prompt_tokens, response.completion_tokens, response.cost) == (3, 2, 0.5)


def test_every_name_of_an_end_is_known_in_any_spelling() -> None:
    for meaning, names in ENDINGS.items():
        for name in names.split():
            for spelling in (name, name.upper(), name.replace("_", "-"), f"FINISH_REASON_{name.upper()}"):
                assert ending(spelling) == meaning
    assert (ending("weird"), ending(None), ending("")) == ("unknown", "", "")


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("length", "length"),
        ("max_tokens", "length"),
        (None, "stop"),
        ("", "stop"),
        ("SAFETY", "error"),
        ("content_filter", "error"),
        ("tool_calls", "stop"),
        ("weird", "error"),
    ],
)
def test_an_end_means_what_the_server_means_by_it(finish: Any, expected: str) -> None:
    response = read({"content": HELLO}, finish)
    assert response.finish_reason == expected
    assert (expected == "error") == (response.text != HELLO)
    assert expected != "error" or str(finish) in response.text


def test_an_end_without_a_name_is_a_cut_where_all_tokens_were_used() -> None:
    for choice in ({"message": {"content": HELLO}}, {"message": {"content": HELLO}, "finish_reason": None}):
        assert response_of(choice, Usage(3, 100), 100).finish_reason == "length"
        assert response_of(choice, Usage(3, 99), 100).finish_reason == "stop"
        assert response_of(choice, None, 100).finish_reason == "stop"


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource", "network_error"])
def test_an_end_that_may_pass_is_asked_again(finish: str) -> None:
    with pytest.raises(UnreadableAnswer, match=finish):
        read({"content": HELLO}, finish)


@pytest.mark.parametrize(
    "answer", [None, 5, "text", [], {}, {"choices": []}, {"choices": None}, {"choices": [None]}, {"choices": "x"}]
)
def test_an_answer_without_a_choice_is_asked_again(answer: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        choice_of(answer)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429, "message": "slow down"}, 429),
        ({"code": "502", "message": "x"}, 502),
        ("broken", 500),
        ({"type": "invalid_request_error", "message": "x"}, 400),
        ({"code": "context_length_exceeded"}, 400),
        ({"message": "x", "status": 403}, 403),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"type": "server_error"}, 500),
    ],
)
def test_an_error_inside_a_200_has_the_status_that_it_names(error: Any, status: int) -> None:
    for answer in ({"error": error}, {"error": error, "choices": []}, {"choices": [{"error": error}]}):
        with pytest.raises(ErrorInside) as caught:
            choice_of(answer)
        assert caught.value.status == status


def test_a_completion_and_odd_messages_are_read() -> None:
    assert content_of({"text": HELLO}).text == HELLO
    assert content_of({"text": HELLO, "reasoning": THOUGHT}).reasoning == THOUGHT
    assert content_of({"message": HELLO}).text == HELLO
    assert content_of({"delta": {"content": HELLO}}).text == HELLO
    assert choice_of([{"choices": [{"text": HELLO}]}])["text"] == HELLO


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2}, (3, 2)),
        ({"prompt_tokens": "3", "completion_tokens": 2.0}, (3, 2)),
        ({"input_tokens": 3, "output_tokens": 2}, (3, 2)),
        ({"prompt_tokens": 3, "total_tokens": 5}, (3, 2)),
        ({"completion_tokens": 2, "total_tokens": 5}, (3, 2)),
        ({"prompt_tokens": 3, "completion_tokens": 0}, (3, 0)),
        *[(wild, None) for wild in (None, {}, [], 5, "many", {"prompt_tokens": 0, "completion_tokens": 0})],
        *[
            ({"prompt_tokens": 3, "completion_tokens": wild}, None)
            for wild in (None, -1, float("inf"), float("nan"), int("9" * 30), "many", [2], {"n": 2}, 10**400)
        ],
    ],
)
def test_usage_is_what_is_stated_or_not_known(usage: Any, expected: tuple[int, int] | None) -> None:
    read = usage_of({"usage": usage}, PRICE)
    assert (None if read is None else (read.prompt, read.completion)) == expected
    assert read is None or read.cost == pytest.approx(PRICE.of(read.prompt, read.completion))


def test_numbers_and_characters_that_json_refuses_spoil_nothing_around_them() -> None:
    digits = "9" * 6000
    assert loads(f'{{"a": {digits}, "b": 7}}') == {"a": float("inf"), "b": 7}
    assert loads('{"a": "line\nbreak", "b": NaN}')["a"] == "line\nbreak"
    with pytest.raises(ValueError, match="Expecting"):
        loads("<html>")


def test_no_shape_of_an_answer_raises_anything_but_what_says_so() -> None:
    """Any field of any type: what comes out is a response, or one of the two errors that the wire knows."""
    odd: tuple[Any, ...] = (
        None,
        True,
        0,
        -1.5,
        "",
        "x",
        [],
        [None],
        [[["x"]]],
        {},
        {"text": 5},
        {"type": []},
        [{"a": 1}],
    )
    names = ("content", "refusal", "reasoning", "tool_calls")
    for one, other in itertools.product(odd, odd):
        for first, second in itertools.combinations(names, 2):
            for message in ({first: one, second: other}, one):
                try:
                    response = response_of(
                        choice_of({"choices": [{"message": message, "finish_reason": other}]}), None, 9
                    )
                except (UnreadableAnswer, ErrorInside):
                    continue
                assert isinstance(response.text, str)
                assert isinstance(response.reasoning, str)
                assert response.finish_reason in ("stop", "length", "error")


def test_answers_changed_at_random_are_read_or_refused_and_never_make_an_empty_label() -> None:
    draw = random.Random(1)
    message = {"role": "assistant", "content": HELLO, "reasoning_content": None, "refusal": None, "tool_calls": []}
    whole = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    odd: tuple[Any, ...] = (
        None,
        True,
        -1,
        float("inf"),
        float("nan"),
        10**30,
        "",
        " ",
        "\ud83d",
        "<think>a",
        "<think>a</think>b",
        [],
        {},
        {"type": "text"},
        [{"type": "text", "text": ["a", {"text": "b"}]}],
        [[[[]]]],
        {"error": 1},
        "stop",
        "length",
    )

    def changed(value: Any) -> Any:
        if draw.random() < 0.08:
            return draw.choice(odd)
        if isinstance(value, dict):
            return {name: changed(item) for name, item in value.items() if draw.random() > 0.03}
        return [changed(item) for item in value] if isinstance(value, list) else value

    ends = Counter[str]()
    for _ in range(3000):
        answer = loads(json.dumps(changed(whole)))
        try:
            usage = usage_of(answer, PRICE)
            written = storable(response_of(choice_of(answer), usage, 100))
        except (UnreadableAnswer, ErrorInside):
            ends["unreadable"] += 1
            continue
        response = interpreted(unpack(pack(written)), Request([], Sampling()))
        ends[response.finish_reason] += 1
        assert response.text.encode().strip() or response.finish_reason == "length"
        assert "<think>" not in response.text or response.finish_reason == "error"
    assert set(ends) == {"stop", "length", "error", "unreadable"}


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"finish_reason": "FinishReason.STOP"}, "stop"),
        ({"finish_reason": "STOP_REASON_STOP"}, "stop"),
        ({"finish_reason": "MaxTokens"}, "length"),
        ({"finish_reason": {"type": "max_tokens"}}, "length"),
        ({"finish_reason": "null"}, "stop"),
        ({"finishReason": "MAX_TOKENS"}, "length"),
        ({"finish_details": {"type": "max_tokens"}}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"finish_reason": "stop", "stop_reason": "max_tokens is what I say"}, "stop"),
        ({"stop_reason": 151645}, "stop"),
    ],
)
def test_a_cut_is_seen_under_whatever_name_and_in_whatever_spelling(end: Any, expected: str) -> None:
    assert response_of({"message": {"content": HELLO}, **end}, Usage(3, 2), 100).finish_reason == expected


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "Ulm", "thought": True}, {"text": HELLO}],
        [{"type": "text", "text": "Ulm", "thought": True}, {"type": "text", "text": HELLO}],
        {"parts": [{"text": "Ulm", "thought": True}, {"text": HELLO}]},
    ],
)
def test_parts_flagged_as_thoughts_are_no_text(content: Any) -> None:
    response = read({"content": content})
    assert (response.text, response.reasoning) == (HELLO, "Ulm")


def test_words_before_the_call_of_a_tool_and_a_flagged_refusal_are_no_answer() -> None:
    called = read({"content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "name": "f"}]})
    refused = read({"content": "I can't.", "refusal": True})
    assert [called.finish_reason, refused.finish_reason] == ["error", "error"]


def test_an_error_beside_an_empty_choice_is_an_error() -> None:
    for answer in (
        {"error": {"message": "busy", "code": 503}, "choices": [{"message": {"content": ""}}]},
        {"code": 429, "msg": "busy"},
    ):
        with pytest.raises(ErrorInside, match="busy") as caught:
            choice_of(answer)
        assert caught.value.status in (429, 503)


def test_thoughts_that_only_the_total_counts_are_billed() -> None:
    usage = usage_of({"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 405}}, FREE)
    assert usage is not None and (usage.prompt, usage.completion) == (3, 402)
