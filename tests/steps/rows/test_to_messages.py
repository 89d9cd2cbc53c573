"""Conversations of any shape become one, or are lost with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from fakes import EchoTeacher, context_in
from potstill.errors import RequestError, StepFailed
from potstill.steps import Evaluate, LoadRows, PseudoLabel, RandomModel, ToMessages, TrainTokenizer
from potstill.trainers import HardLabel
from running import problems_of, rows_of
from scripted import run

CHAT = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}, {"from": "human", "value": "Who are you?"}]
MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Who are you?"},
]


def test_the_conversation_takes_the_place_of_the_column_that_it_was_in(tmp_path: Path) -> None:
    rows = ToMessages(LoadRows([{"id": "1", "conversations": CHAT}]), column="conversations")
    assert not problems_of(rows)
    assert rows_of(rows, tmp_path) == [{"id": "1", "messages": MESSAGES}]


def test_a_system_turn_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    step = ToMessages(LoadRows([{"c": CHAT, "s": "Be brief."}]), column="c", system="s")
    given: list[dict[str, Any]] = [{"c": CHAT, "s": "Be brief."}, {"c": CHAT, "s": None}, {"c": CHAT, "s": ""}]
    result, _ = run(step, tmp_path, rows=given)
    assert [row["messages"][0]["role"] for row in result] == ["system", "user", "user"]
    assert set(result[0]) == {"messages"}


def test_what_is_no_chat_is_counted_by_its_reason(tmp_path: Path) -> None:
    calls = [*MESSAGES, {"role": "tool", "content": "21 degrees"}]
    rows = [{"id": "a", "messages": MESSAGES}, {"id": "b", "messages": calls}, {"id": "c", "messages": []}]
    result, context = run(ToMessages(LoadRows([{"messages": MESSAGES}])), tmp_path, rows=rows)
    assert [row["id"] for row in result] == ["a"]
    assert {reason for _, reason in context.ledger.lost} == {
        "tool calls in the conversation, which a chat of texts can't hold",
        "the conversation has no turns",
    }
    texts = LoadRows([{"m": "[]"}, {"m": "x"}, {"m": '[{"role": "user", "content": "Hi"}]'}])
    with pytest.raises(StepFailed, match="lost 2 of 3 rows"):
        rows_of(ToMessages(texts, column="m"), tmp_path)


def test_a_column_is_not_replaced() -> None:
    (text,) = problems_of(ToMessages(LoadRows([{"c": CHAT, "messages": "mine"}]), column="c"))
    assert "has a column messages already" in text
    assert "output=" in text


def measured(rows: list[dict[str, Any]], folder: Path) -> Any:
    """Return what is measured on rows with conversations, of a teacher that repeats itself."""
    step = Evaluate(EchoTeacher(), LoadRows(rows), prompt="chat.jinja", latency_requests=1, warmup=0, max_tokens=256)
    assert not problems_of(step)
    return step.run(EchoTeacher(), Dataset.from_list(rows), context_in(folder))


def test_a_labelled_conversation_is_measured_by_its_last_answer(tmp_path: Path) -> None:
    rows = [{"id": str(number), "messages": MESSAGES} for number in range(2)]
    labelled, _ = run(PseudoLabel(LoadRows(rows), teacher=EchoTeacher(), prompt="chat.jinja"), tmp_path, rows=rows)
    assert [row["messages"] for row in labelled] == [MESSAGES, MESSAGES]
    assert measured(labelled, tmp_path)["sets"]["test"]["exact_match"] == 1.0
    inside = [{"messages": [*MESSAGES, {"role": "assistant", "content": row["output"]}]} for row in labelled]
    actual = measured([*inside, {"messages": [*MESSAGES, MESSAGES[1]]}], tmp_path)
    assert actual["sets"]["test"]["exact_match"] == pytest.approx(2 / 3)
    assert actual["examples"][0]["instruction"] == "Who are you?"


def test_a_test_row_without_an_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="row 'x' of the test set 'test': it has no right answer"):
        measured([{"id": "x", "messages": MESSAGES}], tmp_path)


def test_a_template_that_shows_no_conversation_is_told_apart_from_a_missing_column() -> None:
    chats = LoadRows([{"messages": MESSAGES}])
    student = RandomModel(TrainTokenizer(chats, prompt="chat.jinja"))
    for step in (PseudoLabel(chats, teacher=EchoTeacher()), HardLabel(chats, student=student)):
        assert any('take prompt="chat.jinja"' in text for text in problems_of(step))
    shared = PseudoLabel(LoadRows([{"conversations": CHAT}]), teacher=EchoTeacher())
    assert any("take ToMessages(rows" in text for text in problems_of(shared))
