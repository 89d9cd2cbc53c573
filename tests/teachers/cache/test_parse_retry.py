"""An answer that has not the form wanted is asked for again, in its place among the others, and lost in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fakes
from fakes import EchoTeacher, context_in
from potstill.teachers.cache.parse_retry import CUT, UNREADABLE, Question, Tries, asked
from potstill.teachers.protocol import Request, Response, Sampling
from scripted import Scripted, asks


def questions(*texts: str) -> list[Question[str]]:
    return [Question(text, text, ([{"role": "user", "content": text}],)) for text in texts]


def lost(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "lost.jsonl").read_text().splitlines()]


def number(text: str) -> int:
    return int(text)


def second_try(request: Request) -> str:
    """Odd questions are answered with a number only when they are drawn, not greedily."""
    wrong = int(asks(request)) % 2 == 1 and request.sampling.temperature == 0
    return "what?" if wrong else asks(request)


def test_answers_come_in_order_though_some_need_a_second_try(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    texts = [str(value) for value in range(300)]
    teacher = Scripted(say=second_try, log=log)
    actual = list(asked(teacher, questions(*texts), number, Tries(Sampling(), 3), context_in(tmp_path)))
    assert [(tag, answer.value, answer.tries) for tag, (answer,) in actual] == [
        (text, int(text), 1 + int(text) % 2) for text in texts
    ]
    assert len(fakes.calls(log)) == 300 + 150


def test_a_question_without_an_answer_is_lost_for_good_and_its_texts_are_kept(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = Scripted(say=lambda request: "7" if asks(request) == "good" else f"no {request.seed}", log=log)
    context = context_in(tmp_path)
    actual = list(asked(teacher, questions("bad", "good"), number, Tries(Sampling(), 3), context))
    assert [tag for tag, _ in actual] == ["good"]
    (entry,) = lost(tmp_path)
    assert (entry["row"], entry["state"], entry["reason"]) == ("bad", "permanent", UNREADABLE)
    assert "ValueError" in entry["detail"]
    said = entry["detail"].split("the teacher wrote ")[1].split("; ")
    assert said[0] == "'no 0'"
    assert len(set(said)) == 3, "each try has another seed"
    again = list(asked(teacher, questions("bad", "good"), number, Tries(Sampling(), 3), context_in(tmp_path)))
    assert again == actual
    assert len(fakes.calls(log)) == 4, "every try is journalled, also those that failed"


def test_another_parser_asks_the_teacher_nothing(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = EchoTeacher(log=log)
    tries = Tries(Sampling(temperature=1.0), 3)
    first = list(asked(teacher, questions("a", "b"), str.upper, tries, context_in(tmp_path)))
    second = list(asked(teacher, questions("a", "b"), str.split, tries, context_in(tmp_path)))
    assert len(fakes.calls(log)) == 2
    assert [answer.value for _, (answer,) in second] == [answer.text.split() for _, (answer,) in first]


def test_a_cut_answer_is_not_trusted(tmp_path: Path) -> None:
    teacher = Scripted(say=lambda request: Response("12", "length"))
    context = context_in(tmp_path)
    assert not list(asked(teacher, questions("a"), number, Tries(Sampling(max_tokens=1), 2), context))
    assert context.ledger.counts()["failed"] == {CUT: 1}
    kept = asked(teacher, questions("a"), number, Tries(Sampling(max_tokens=1), keep_cut=True), context)
    assert [answer.finish_reason for _, (answer,) in kept] == ["length"]


def test_a_failing_teacher_loses_the_row_once_and_alone(tmp_path: Path) -> None:
    pair = Question("pair", "pair", tuple([{"role": "user", "content": text}] for text in ("broken", "broken too")))
    context = context_in(tmp_path)
    actual = asked(EchoTeacher(failing=("broken",)), [pair, *questions("a")], str, Tries(Sampling(), 3), context)
    assert [tag for tag, _ in actual] == ["a"]
    assert context.ledger.total("retryable") == 1


def test_a_question_with_nothing_to_ask_is_answered_at_once(tmp_path: Path) -> None:
    empty: Question[str] = Question("none", "none", ())
    actual = asked(EchoTeacher(), [empty, *questions("a"), empty], str, Tries(Sampling()), context_in(tmp_path))
    assert [(tag, len(answers)) for tag, answers in actual] == [("none", 0), ("a", 1), ("none", 0)]


def test_a_mistake_in_the_parser_is_an_error_and_costs_no_tries(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")

    def mistaken(text: str) -> str:
        return undefined  # noqa: F821

    with pytest.raises(NameError):
        list(asked(EchoTeacher(log=log), questions("a"), mistaken, Tries(Sampling(), 9), context_in(tmp_path)))
    assert len(fakes.calls(log)) == 1


def test_a_further_sample_is_another_draw_and_the_first_stays(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    tries = Tries(Sampling(temperature=1.0))

    def drawn(count: int) -> list[str]:
        chats = ([{"role": "user", "content": "say"}],)
        samples = [Question("say", "say", chats, number) for number in range(count)]
        return [answer.text for _, (answer,) in asked(EchoTeacher(log=log), samples, str, tries, context_in(tmp_path))]

    one, four = drawn(1), drawn(4)
    assert four[:1] == one
    assert len(set(four)) == 4
    assert len(fakes.calls(log)) == 4


def test_an_answer_without_content_is_drawn_again(tmp_path: Path) -> None:
    def thinks_first(request: Request) -> Response:
        drawn = request.sampling.temperature > 0
        return Response("<think>so</think>5" if drawn else "<think>so", "stop", 1, 1)

    context = context_in(tmp_path)
    ((_, (answer,)),) = asked(Scripted(say=thinks_first), questions("a"), number, Tries(Sampling(), 2), context)
    assert (answer.value, answer.tries, answer.reasoning) == (5, 2, "so")
    assert not list(asked(Scripted(say=thinks_first), questions("a"), number, Tries(Sampling(), 1), context))
    assert "no content, only reasoning" in lost(tmp_path)[0]["detail"]


def test_a_value_that_no_column_takes_loses_its_row_alone(tmp_path: Path) -> None:
    says = {"huge": '{"n": 123456789012345678901234567890}', "half": '{"n": "\\ud83d"}'}
    teacher = Scripted(say=lambda request: says.get(asks(request), '{"n": 1}'))
    actual = dict(
        asked(teacher, questions("a", "huge", "half"), json.loads, Tries(Sampling(), 1), context_in(tmp_path))
    )
    assert {tag: answer.value for tag, (answer,) in actual.items()} == {"a": {"n": 1}, "half": {"n": "\ufffd"}}
    assert "a column takes 64" in lost(tmp_path)[0]["detail"]
