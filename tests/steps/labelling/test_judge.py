"""Pairs are judged in both orders: a judge with a favourite place finds ties only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fakes import EchoTeacher
from potstill.errors import BadInput
from potstill.steps import LoadSeeds
from potstill.steps.labelling.judge import JudgePairsWithPrompt
from potstill.steps.labelling.judge_generations import JudgeGenerationPairsWithPrompt
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

SEEDS = LoadSeeds("unused")
PAIRS = [
    {"id": "a", "instruction": "q", "x": "long answer", "y": "short"},
    {"id": "b", "instruction": "q", "x": "tiny", "y": "a longer one"},
    {"id": "c", "instruction": "q", "x": "equal", "y": "equal"},
    {"id": "d", "instruction": "q", "x": "12345", "y": "54321"},
]


def shown(request: Request) -> tuple[str, str]:
    first, second = re.findall(r"\[Start of answer [AB]\]\n(.*)\n\[End", asks(request))
    return first, second


def longer(request: Request) -> str:
    first, second = map(len, shown(request))
    return "tie" if first == second else "A" if first > second else "B"


def judged(folder: Path, say: Any) -> list[dict[str, Any]]:
    step = JudgePairsWithPrompt(SEEDS, teacher=Scripted(say=say), first="x", second="y")
    return run(step, folder, rows=PAIRS)[0]


def test_the_better_of_two_columns_is_found(tmp_path: Path) -> None:
    rows = judged(tmp_path, longer)
    assert [(row["verdict"], row["agreed"]) for row in rows] == [
        ("first", True),
        ("second", True),
        ("tie", True),
        ("tie", True),
    ]


@pytest.mark.parametrize("place", ["A", "B"])
def test_a_judge_with_a_favourite_place_finds_ties(tmp_path: Path, place: str) -> None:
    rows = judged(tmp_path, lambda request: place)
    assert {row["verdict"] for row in rows} == {"tie"}
    assert [row["agreed"] for row in rows] == [False, False, True, False]


def test_equal_texts_cost_no_question_and_others_cost_two(tmp_path: Path) -> None:
    step = JudgePairsWithPrompt(SEEDS, teacher=Scripted(say=longer), first="x", second="y")
    _, context = run(step, tmp_path, rows=PAIRS)
    assert context.notes["usage"]["calls"] == 6


def test_one_order_that_is_not_answered_loses_the_pair(tmp_path: Path) -> None:
    step = JudgePairsWithPrompt(
        SEEDS, teacher=Scripted(say=lambda r: "A" if shown(r)[0] == "tiny" else "hm"), first="x", second="y"
    )
    rows, context = run(step, tmp_path, rows=PAIRS)
    assert [row["id"] for row in rows] == ["c"]
    assert context.ledger.total("permanent") == 3


def test_needs_columns_and_problems() -> None:
    step = JudgePairsWithPrompt(SEEDS, teacher=EchoTeacher(), first="x", second="x", prompt="{{ first }} {{ topic }}")
    assert step.needs() == {"rows": ("x", "x", "topic")}
    text = " ".join(str(problem) for problem in step.check())
    assert "never uses second" in text
    assert "same column" in text
    assert step.columns({"rows": frozenset({"x"})}) == {"x", "verdict", "agreed"}
    assert step.estimate({"rows": 5}).calls == 10


ONE = [{"id": pair["id"], "instruction": pair["instruction"], "output": pair["x"]} for pair in PAIRS]
TWO = [{"id": pair["id"], "output": pair["y"]} for pair in reversed(PAIRS)]


def test_two_generations_become_chosen_and_rejected(tmp_path: Path) -> None:
    step = JudgeGenerationPairsWithPrompt(SEEDS, SEEDS, teacher=Scripted(say=longer))
    rows, _ = run(step, tmp_path, first=ONE, second=TWO)
    assert [(row["chosen"], row["rejected"], row["chosen_from"], row["tie"]) for row in rows] == [
        ("long answer", "short", "first", False),
        ("a longer one", "tiny", "second", False),
        ("equal", "equal", "first", True),
        ("12345", "54321", "first", True),
    ]
    assert set(rows[0]) == {"id", "instruction", "chosen", "rejected", "chosen_from", "tie"}


def test_ties_can_be_dropped_and_rows_without_a_partner_are_counted(tmp_path: Path) -> None:
    step = JudgeGenerationPairsWithPrompt(SEEDS, SEEDS, teacher=Scripted(say=longer), keep_ties=False)
    rows, context = run(step, tmp_path, first=ONE, second=TWO[1:])
    assert [row["id"] for row in rows] == ["a", "b"]
    assert context.ledger.counts()["filtered"] == {"no partner in second": 1, "tie": 1}


def test_rows_that_can_not_be_matched_are_refused(tmp_path: Path) -> None:
    step = JudgeGenerationPairsWithPrompt(SEEDS, SEEDS, teacher=EchoTeacher())
    with pytest.raises(BadInput, match="rows 0 and 4 both have id 'a'"):
        run(step, tmp_path / "a", first=[*ONE, ONE[0]], second=TWO)
    with pytest.raises(BadInput, match="no id is on both sides"):
        run(step, tmp_path / "b", first=ONE, second=[{"id": "z", "output": "w"}])
