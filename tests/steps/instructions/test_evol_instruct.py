"""Evolution round by round, and the four ways to be eliminated."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from potstill.errors import PotstillError
from potstill.steps.instructions import evol_rules
from potstill.steps.instructions.evol_instruct import EvolInstruct
from potstill.steps.instructions.evol_rules import OPERATIONS, answer_fault, instruction_fault
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

SEEDS = [{"id": "a", "instruction": "Name a river."}, {"id": "b", "instruction": "Add 2 and 3."}]


def answer_of(request: Request) -> str:
    """Evolve by adding a word, never find two the same, and answer everything."""
    text = asks(request)
    if text.startswith(("Make the instruction", "Write one instruction")):
        return text.splitlines()[-1] + " Slowly."
    return "No" if text.startswith("Here are two") else "An answer of words."


def evolve(tmp_path: Path, say=answer_of, **parameters):
    return run(EvolInstruct(LoadRows(SEEDS), teacher=Scripted(say=say), **parameters), tmp_path, rows=SEEDS)


def test_each_round_starts_from_the_one_before(tmp_path: Path) -> None:
    rows, context = evolve(tmp_path, rounds=3)
    assert len(rows) == 6
    last = next(row for row in rows if row["id"] == "a-evolved-3")
    assert last["instruction"] == "Name a river. Slowly. Slowly. Slowly."
    assert (last["parent"], last["round"], last["output"]) == ("a", 3, "An answer of words.")
    assert {row["operation"] for row in rows} <= set(OPERATIONS)
    assert context.notes["usage"]["calls"] == 3 * 6


def test_an_eliminated_evolution_leaves_the_instruction_for_the_next_round(tmp_path: Path) -> None:
    asked: list[Request] = []

    def say(request: Request) -> str:
        text = asks(request)
        if text.startswith("Here are two"):
            return "Yes" if "round 1" in text else "No"
        if text.startswith("Make the instruction"):
            asked.append(request)
            return f"{text.splitlines()[-1]} In round {1 if len(asked) <= 2 else 2}."
        return "An answer of words."

    rows, context = evolve(tmp_path, say, rounds=2, operations=("deepen",))
    assert [row["instruction"] for row in rows] == ["Name a river. In round 2.", "Add 2 and 3. In round 2."]
    assert context.ledger.counts()["filtered"] == {"asks for the same": 2}
    assert asked[0].messages == asked[2].messages
    assert asked[0].seed != asked[2].seed


def test_why_evolutions_are_eliminated() -> None:
    assert instruction_fault("Name a river.", "name a  RIVER.") == "unchanged"
    assert instruction_fault("a", "Here is the rewritten instruction: b") == "repeats words of the prompt"
    assert not instruction_fault("Improve the given instruction.", "Improve the given instruction twice.")
    assert answer_fault("I'm sorry, but I can't.") == "teacher declined"
    assert not answer_fault("Sorry is a word. " * 40)
    assert answer_fault("...") == answer_fault("It is the.") == "answer says nothing"
    assert not answer_fault("42")


def test_eliminations_are_counted(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match="teacher declined': 2"):
        evolve(tmp_path, lambda request: answer_of(request) if "instruction" in asks(request) else "Sorry!", rounds=1)


def test_an_unknown_operation_is_named() -> None:
    problems = list(EvolInstruct(LoadRows(SEEDS), teacher=Scripted(), operations=("deepen", "widen")).check())
    assert "widen" in str(problems[0])


def test_a_second_run_asks_nothing_and_more_rounds_only_what_is_new(tmp_path: Path) -> None:
    first, _ = evolve(tmp_path, rounds=1)
    again, context = evolve(tmp_path, rounds=1)
    assert again == first
    assert context.notes["usage"]["calls"] == 0
    more, context = evolve(tmp_path, rounds=2)
    assert more[:2] == first
    assert context.notes["usage"]["cached"] >= 6


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(evol_rules).failed == 0
