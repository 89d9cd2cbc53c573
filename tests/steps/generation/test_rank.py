"""Rows are graded, sorted, and the best share stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes import EchoTeacher
from potstill.errors import PotstillError
from potstill.steps import LoadSeeds
from potstill.steps.generation.rank import RankWithPrompt
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

SEEDS = LoadSeeds("unused")
ROWS = [{"id": f"r{number}", "instruction": f"worth {worth}"} for number, worth in enumerate([3, 9, 3, 7, 10])]


def honest(request: Request) -> str:
    return f"Grade: {asks(request).split('worth ')[1].split()[0]}/10"


def ranked(folder: Path, **parameters: Any) -> tuple[list[dict[str, Any]], Any]:
    step = RankWithPrompt(SEEDS, **{"teacher": Scripted(say=honest), "criterion": "x", **parameters})
    return run(step, folder, rows=ROWS)


def test_the_best_come_first_and_equals_stay_in_order(tmp_path: Path) -> None:
    rows, _ = ranked(tmp_path)
    assert [(row["id"], row["score"]) for row in rows] == [("r4", 10), ("r1", 9), ("r3", 7), ("r0", 3), ("r2", 3)]


def test_only_the_top_share_stays_and_the_others_are_counted(tmp_path: Path) -> None:
    rows, context = ranked(tmp_path, top=0.5)
    assert [row["id"] for row in rows] == ["r4", "r1", "r3"]
    assert context.ledger.counts()["filtered"] == {"not in the top 0.5": 2}
    assert RankWithPrompt(SEEDS, teacher=EchoTeacher(), criterion="x", top=0.1).estimate({"rows": 30}).rows == 3


def test_the_teacher_is_held_to_whole_numbers(tmp_path: Path) -> None:
    held: list[Any] = []

    def say(request: Request) -> str:
        held.append(request.sampling.structured)
        return "1"

    ranked(tmp_path, teacher=Scripted(say=say), low=0, high=2)
    assert {form.choice for form in held} == {("0", "1", "2")}


def test_without_any_score_the_step_fails(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match="no row of 5 got a score"):
        ranked(tmp_path, teacher=Scripted(say=lambda request: "great"))


def test_a_scale_must_rise() -> None:
    step = RankWithPrompt(SEEDS, teacher=EchoTeacher(), low=5, high=5)
    assert [problem.field for problem in step.check()] == ["criterion", "high"]
