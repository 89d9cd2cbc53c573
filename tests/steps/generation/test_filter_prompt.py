"""A teacher says yes or no to each row; those that go are in the ledger, and none left is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes import EchoTeacher
from potstill.errors import PotstillError
from potstill.steps import LoadSeeds
from potstill.steps.generation.filter_prompt import FilterWithPrompt
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

SEEDS = LoadSeeds("unused")
ROWS = [{"id": f"r{number}", "instruction": f"count to {number}"} for number in range(4)]


def even(request: Request) -> str:
    number = int(asks(request).split("count to ")[1].split()[0])
    return "Yes." if number % 2 == 0 else "No, the number is odd."


def test_rows_that_go_are_told_with_what_the_teacher_said(tmp_path: Path) -> None:
    step = FilterWithPrompt(SEEDS, teacher=Scripted(say=even), criterion="The number is even.", structured=False)
    rows, context = run(step, tmp_path, rows=ROWS)
    assert [row["id"] for row in rows] == ["r0", "r2"]
    assert context.ledger.counts()["filtered"] == {"the teacher answered no": 2}
    entry = json.loads((tmp_path / "lost.jsonl").read_text().splitlines()[0])
    assert (entry["row"], entry["detail"]) == ("r1", "No, the number is odd.")


def test_the_filter_can_be_turned_round(tmp_path: Path) -> None:
    step = FilterWithPrompt(SEEDS, teacher=Scripted(say=even), criterion="The number is even.", keep="no")
    rows, _ = run(step, tmp_path, rows=ROWS)
    assert [row["id"] for row in rows] == ["r1", "r3"]


def test_a_teacher_that_can_is_held_to_the_two_words(tmp_path: Path) -> None:
    held: list[object] = []

    def say(request: Request) -> str:
        held.append(request.sampling.structured and request.sampling.structured.choice)
        return "yes"

    for structured in (True, False):
        step = FilterWithPrompt(SEEDS, teacher=Scripted(say=say), criterion="x", structured=structured)
        run(step, tmp_path / str(structured), rows=ROWS[:1])
    assert held == [("yes", "no"), None]


def test_a_filter_that_leaves_nothing_fails_and_says_what_took_the_rows(tmp_path: Path) -> None:
    step = FilterWithPrompt(SEEDS, teacher=Scripted(say=lambda request: "no"), criterion="x")
    with pytest.raises(PotstillError, match="no row of 4 is left: the teacher answered no 4"):
        run(step, tmp_path, rows=ROWS)


def test_a_row_without_a_decision_is_lost_and_not_filtered(tmp_path: Path) -> None:
    step = FilterWithPrompt(
        SEEDS, teacher=Scripted(say=lambda request: "yes" if "count to 0" in asks(request) else "hm"), criterion="x"
    )
    rows, context = run(step, tmp_path, rows=ROWS)
    assert len(rows) == 1
    assert context.ledger.counts()["filtered"] == {}
    assert context.ledger.total("permanent") == 3


def test_parameters_are_checked() -> None:
    def problems(**parameters: object) -> str:
        step = FilterWithPrompt(SEEDS, teacher=EchoTeacher(), **parameters)
        return " ".join(str(problem) for problem in step.check())

    assert "say what a row must meet" in problems()
    assert "must be yes or no" in problems(criterion="x", keep="maybe")
    assert "never uses criterion" in problems(criterion="x", prompt="{{ instruction }} ok?")
    assert problems(prompt="Is {{ instruction }} polite?") == ""
