"""Every row asked; several answers a row; answers read by a parser that can be edited for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fakes
from fakes import EchoTeacher
from potstill import Pipeline
from potstill.errors import RequestError
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.steps.generation.process import ProcessWithPrompt
from potstill.steps.generation.prompt import Prompt
from potstill.steps.generation.structured import StructuredGeneration
from potstill.teachers.protocol import Request, Response
from scripted import Scripted, asks, run

ROWS = [{"id": f"r{number}", "instruction": f"say {number}"} for number in range(6)]
SEEDS = LoadSeeds("unused")


def test_every_row_gets_its_answer_in_order(tmp_path: Path) -> None:
    rows, context = run(Prompt(SEEDS, teacher=EchoTeacher(), output="reply"), tmp_path, rows=ROWS)
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert len({row["reply"] for row in rows}) == 6
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert context.ledger.kept == 6


def test_several_answers_a_row_come_as_rows_of_their_own_and_more_cost_only_the_new_ones(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    two, _ = run(Prompt(SEEDS, teacher=EchoTeacher(log=log), n=2, temperature=1.0), tmp_path, rows=ROWS)
    assert [(row["id"], row["sample"]) for row in two[:4]] == [("r0", 0), ("r0", 1), ("r1", 0), ("r1", 1)]
    assert len({row["output"] for row in two}) == 12
    three, _ = run(Prompt(SEEDS, teacher=EchoTeacher(log=log), n=3, temperature=1.0), tmp_path, rows=ROWS)
    assert [row for row in three if row["sample"] < 2] == two
    assert len(fakes.calls(log)) == 18


def test_one_answer_is_the_first_of_several(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    run(Prompt(SEEDS, teacher=EchoTeacher(log=log), temperature=1.0), tmp_path, rows=ROWS)
    run(Prompt(SEEDS, teacher=EchoTeacher(log=log), temperature=1.0, n=2), tmp_path, rows=ROWS)
    assert len(fakes.calls(log)) == 12


def test_greedy_answers_can_not_be_several() -> None:
    problems = list(Prompt(SEEDS, teacher=EchoTeacher(), n=3).check())
    assert [problem.field for problem in problems] == ["n"]


def test_editing_the_parser_asks_nothing(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = EchoTeacher(log=log)
    first, _ = run(Prompt(SEEDS, teacher=teacher, parse=str.split), tmp_path, rows=ROWS)
    second, _ = run(
        Prompt(SEEDS, teacher=teacher, parse=lambda text: {"words": len(text.split())}), tmp_path, rows=ROWS
    )
    assert [len(row["parsed"]) for row in first] == [row["words"] for row in second] == [6] * 6
    assert len(fakes.calls(log)) == 6


def cut(request: Request) -> str | Response:
    return Response("half an ans", "length") if asks(request) == "say 3" else "whole"


def test_cut_answers_are_lost_or_marked(tmp_path: Path) -> None:
    rows, context = run(Prompt(SEEDS, teacher=Scripted(say=cut)), tmp_path / "a", rows=ROWS)
    assert len(rows) == 5
    assert context.ledger.total("permanent") == 1
    rows, context = run(Prompt(SEEDS, teacher=Scripted(say=cut), keep_cut=True), tmp_path / "b", rows=ROWS)
    assert [row["finish_reason"] for row in rows].count("length") == 1
    assert context.ledger.kept == 6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prompt": "{{ question }}"}, "needs column question, which seeds does not make (it has id, instruction)"),
        ({"prompt": "{{ instruction }"}, "the template has a mistake in line 1"),
        ({"prompt": "nosuch.jinja"}, "no prompt template 'nosuch.jinja'"),
        ({"parse": str.split, "keep_cut": True}, "drop keep_cut or parse"),
        ({"teacher": 7}, "7"),
    ],
)
def test_what_is_wrong_is_found_before_the_run(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_text('{"instruction": "a"}\n')
    seeds = LoadSeeds(file)
    asked = Prompt(seeds, **{"teacher": EchoTeacher(), **parameters})
    with pytest.raises(RequestError) as caught:
        Pipeline("x", outputs={"rows": asked}).check()
    assert message in str(caught.value)


def test_columns_and_cost() -> None:
    step = Prompt(SEEDS, teacher=EchoTeacher(), n=2, temperature=1.0, max_tokens=10)
    assert step.columns({"rows": frozenset({"id"})}) == {"id", "output", "finish_reason", "sample"}
    assert Prompt(SEEDS, teacher=EchoTeacher(), parse=str.split).columns({"rows": frozenset({"id"})}) is None
    estimate = step.estimate({"rows": 10})
    assert (estimate.rows, estimate.calls, estimate.tokens) == (20, 20, 400)


def test_a_teacher_that_loads_nothing_needs_no_process() -> None:
    assert not Prompt(SEEDS, teacher=EchoTeacher()).placement().heavy
    assert Prompt(SEEDS, teacher="some/model").placement().heavy


def test_an_instruction_is_applied_to_a_column(tmp_path: Path) -> None:
    teacher = Scripted(say=lambda request: asks(request).upper())
    step = ProcessWithPrompt(SEEDS, teacher=teacher, instruction="Translate.", column="review", output="english")
    rows, _ = run(step, tmp_path, rows=[{"id": "a", "instruction": "not this one", "review": "gut"}])
    assert rows[0]["english"] == "TRANSLATE.\n\nGUT"
    assert rows[0]["instruction"] == "not this one"
    assert step.needs() == {"rows": ("review",)}
    assert step.columns({"rows": frozenset({"review"})}) == {"review", "english", "finish_reason"}


def test_a_process_template_must_use_what_it_is_given() -> None:
    step = ProcessWithPrompt(
        SEEDS, teacher=EchoTeacher(), instruction="x", column="review", prompt="{{ text }} {{ lang }}"
    )
    assert step.needs() == {"rows": ("review", "lang")}
    assert "never uses instruction" in "".join(str(problem) for problem in step.check())


def test_a_row_that_does_not_fit_the_prompt_is_lost_alone_by_name_before_the_teacher_is_asked(tmp_path: Path) -> None:
    rows = [{"id": "1", "instruction": None}, {"id": "2", "instruction": "a question"}]
    for number, step in enumerate(
        (
            Prompt(SEEDS, teacher=Scripted(say=asks)),
            Prompt(SEEDS, teacher=Scripted(say=asks), n=2, temperature=1.0),
            StructuredGeneration(SEEDS, teacher=Scripted(say=asks), regex="(?s).*"),
            PseudoLabel(SEEDS, teacher=Scripted(say=asks)),
            PseudoLabel(SEEDS, teacher=[Scripted(say=asks), EchoTeacher()]),
            ProcessWithPrompt(SEEDS, teacher=Scripted(say=asks), instruction="Translate.", column="instruction"),
        )
    ):
        result, context = run(step, tmp_path / str(number), rows=rows)
        assert {row["id"] for row in result} == {"2"}
        shown = "text" if isinstance(step, ProcessWithPrompt) else "instruction"
        assert dict(context.ledger.lost) == {("permanent", f"null in column {shown}"): getattr(step, "n", 1)}
        assert not any("None" in row["output"] for row in result)


def test_the_field_of_an_object_is_what_the_teacher_reads(tmp_path: Path) -> None:
    step = Prompt(SEEDS, teacher=Scripted(say=asks), prompt="Sum up: {{ order.items }} {{ tags }}")
    (result,), _ = run(step, tmp_path, rows=[{"order": {"items": "two pens"}, "tags": ["a", "b"]}])
    assert result["output"] == 'Sum up: two pens ["a", "b"]'


def test_a_conversation_is_asked_turn_by_turn(tmp_path: Path) -> None:
    seen: list[Request] = []

    def say(request: Request) -> str:
        seen.append(request)
        return "A pot."

    chat = [("human", "Hi"), ("gpt", "Hello"), ("human", "Who are you?"), ("gpt", "Nobody.")]
    rows = [{"messages": [{"from": speaker, "value": said} for speaker, said in chat[:end]]} for end in (3, 4)]
    result, _ = run(PseudoLabel(SEEDS, teacher=Scripted(say=say), prompt="chat.jinja"), tmp_path, rows=rows)
    assert [row["output"] for row in result] == ["A pot.", "A pot."]
    assert [message["role"] for message in seen[0].messages] == ["user", "assistant", "user"]
    assert len(seen) == 1  # the answer that the second ends with is no part of the question


def test_what_the_teacher_thought_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    def say(request: Request) -> Response:
        return Response("<think>\nThe capital.\n</think>\n\nBerlin", "stop", 1, 9)

    rows = [{"instruction": "Where?"}]
    for number, step in enumerate(
        (
            Prompt(SEEDS, teacher=Scripted(say=say), reasoning="thoughts"),
            PseudoLabel(SEEDS, teacher=Scripted(say=say), reasoning="thoughts"),
        )
    ):
        (result,), _ = run(step, tmp_path / str(number), rows=rows)
        assert result["output"] == "Berlin"
        assert result["thoughts"].strip() == "The capital."
        bare, _ = run(type(step)(SEEDS, teacher=Scripted(say=say)), tmp_path / str(number), rows=rows)
        assert "thoughts" not in bare[0]


class Mute(Exception):
    """An error whose text can't be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def unless_three(text: str) -> dict[str, str]:
    if "say 3" in text:
        raise Mute
    return {"read": text}


def test_a_parser_whose_error_has_no_text_loses_its_row_alone(tmp_path: Path) -> None:
    teacher = Scripted(say=asks)
    step = Prompt(SEEDS, teacher=teacher, prompt="{{ instruction }}", parse=unless_three, max_failed=1.0)
    rows, context = run(step, tmp_path, rows=ROWS)
    assert len(rows) == 5
    assert sum(context.ledger.lost.values()) == 1
