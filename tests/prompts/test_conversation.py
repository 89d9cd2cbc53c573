"""Conversations of the shapes in which datasets hold them become one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from potstill.prompts import answer_of, render, rendered
from potstill.prompts.conversation import conversation
from potstill.prompts.values import UnfitRow

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Who are you?"},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(turn["role"], "system"), "value": turn["content"]}
    for turn in TURNS
]
PARTS = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in TURNS]
FILLED = [{**turn, "name": None, "tool_calls": None, "function_call": None, "weight": 1} for turn in TURNS]
MIXED = [{**turn, "from": None, "value": None} for turn in TURNS]
SPOKEN = [{"speaker": turn["role"], "text": turn["content"]} for turn in TURNS]
UNITED = [
    {**turn, "content": [None, {"type": "text", "text": turn["content"]}], "tool_calls": math.nan} for turn in TURNS
]
BY_COLUMN = {key: [turn[key] for turn in SHAREGPT] for key in ("from", "value")}
GEMINI = [{"role": turn["role"], "parts": [{"text": turn["content"]}]} for turn in TURNS]
ONE_PART = [{**turn, "content": {"type": "text", "text": turn["content"]}} for turn in TURNS]


@pytest.mark.parametrize(
    "value",
    [
        *(TURNS, SHAREGPT, PARTS, FILLED, MIXED, SPOKEN, UNITED, ONE_PART),
        *(json.dumps(SHAREGPT), {"messages": TURNS}, BY_COLUMN, GEMINI),
    ],
)
def test_all_shapes_become_messages(value: Any) -> None:
    assert conversation(value) == TURNS
    assert render("chat.jinja", {"messages": value}) == TURNS


@pytest.mark.parametrize("said", ["", " \n", None, math.nan])
def test_an_empty_system_turn_is_none(said: Any) -> None:
    assert conversation([{"from": "system", "value": said}, *SHAREGPT[1:]]) == TURNS[1:]


@pytest.mark.parametrize("flag", [{"train": False}, {"weight": 0}, {"loss": None}, {"masked": True}])
def test_a_user_may_say_what_is_not_learned(flag: dict[str, Any]) -> None:
    assert conversation([*TURNS[:3], {**TURNS[3], **flag}]) == TURNS
    kept = {"weight": 1, "train": True, "loss": None, "masked": False}
    assert conversation([*TURNS[:2], {**TURNS[2], **kept}]) == TURNS[:3]


def test_the_answer_at_the_end_is_not_asked() -> None:
    answered = [*TURNS, {"role": "assistant", "content": "A pot."}]
    assert render("chat.jinja", {"messages": answered}) == TURNS
    assert answer_of("chat.jinja", {"messages": answered}) == "A pot."
    assert answer_of("chat.jinja", {"messages": answered, "output": "A still."}) == "A still."
    assert answer_of("chat.jinja", {"messages": TURNS, "output": None}) is None


def test_a_template_may_say_something_before_and_after() -> None:
    around = (
        "{% block system %}Rate it.{% endblock %}{% block messages %}{{ c }}{% endblock %}"
        "{% block user %}Was it good?{% endblock %}"
    )
    answered = [*SHAREGPT[:3]]
    assert render(around, {"c": answered}) == [
        {"role": "system", "content": "Rate it.\n\nBe brief."},
        *TURNS[1:3],
        {"role": "user", "content": "Was it good?"},
    ]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (None, "null in column messages"),
        ([], "the conversation has no turns"),
        ("Hi", "the conversation is a text that is no JSON"),
        ([{"role": "assistant", "content": "Hi"}], "the conversation has no turn of the user"),
        ([{"role": "user", "content": None}], "an empty turn by the user"),
        ([{"role": "user", "content": " "}], "an empty turn by the user"),
        ([{"role": "narrator", "content": "x"}], "a turn by 'narrator', who is none of system, user and assistant"),
        ([{"role": None, "content": "x"}], "a turn by None, who is none of system, user and assistant"),
        (["Hi"], "a turn is no object with role and content"),
        ([*TURNS, TURNS[0]], "a system turn that is not the first"),
        ([*TURNS, {"role": "assistant", "tool_calls": [{"id": "1"}], "content": None}], "tool calls in"),
        ([*TURNS, {"role": "tool", "content": "21 degrees"}], "tool calls in"),
        ([{"from": "function_call", "value": "{}"}], "tool calls in"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "a part of the kind 'image_url'"),
        ([{"role": "assistant", "content": "x", "weight": 0}], "a turn of weight 0"),
        *(
            ([*TURNS, {"role": "assistant", "content": "x", key: value}], "a turn of weight 0")
            for key, value in [
                *(("weight", "0"), ("weight", 0.0), ("train", 0), ("train", "false"), ("train_on_turn", False)),
                *(("trainable", False), ("masked", True), ("mask", 1)),
            ]
        ),
        ([{"role": "user", "content": 3}], "a int in a turn, which is no text"),
        ({"role": ["user"], "content": ["a", "b"]}, "the conversation has no turns"),
        ([*TURNS, {"role": "assistant", "content": "x", "train": False}], "a turn of weight 0"),
        ([*TURNS, {"role": "assistant", "content": "x", "loss": False}], "a turn of weight 0"),
        ([*TURNS, {"role": "assistant", "content": "x", "channel": "analysis"}], "a turn of thoughts"),
    ],
)
def test_what_is_no_chat_of_texts_is_lost_with_the_reason(turns: Any, reason: str) -> None:
    unfit = rendered("chat.jinja", {"messages": turns})
    assert isinstance(unfit, UnfitRow)
    assert unfit.reason.startswith(reason)
