"""Examples grown from a few: the temperature rises, the pool grows, and Consensus chooses among the answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import BadInput, PotstillError
from potstill.steps.instructions.grow_examples import GrowFromExamples
from potstill.steps.labelling.consensus import Consensus
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

TASK = [{"instruction": "Double the number.", "examples": [{"input": "2", "output": "4"}]}]


def say(request: Request) -> str:
    number = request.seed % 50
    return f"Input: {number}\nOutput: {2 * number + (request.seed % 5 == 0)}"


def grow(tmp_path: Path, target: int, teacher=None, task=TASK, **parameters):
    step = GrowFromExamples(LoadRows(task), teacher=teacher or Scripted(say=say), target=target, **parameters)
    return run(step, tmp_path, task=task)


def test_the_temperature_rises_with_what_is_made(tmp_path: Path) -> None:
    rows, context = grow(tmp_path, 100)
    heats = [row["temperature"] for row in rows]
    assert len(rows) == context.ledger.kept == 100
    assert heats == sorted(heats)
    assert heats[0] == 0.5
    assert 1.2 < heats[-1] <= 1.7
    assert rows[0]["instruction"] == "Double the number."


def test_prompts_show_what_was_made_and_take_three_lengths_in_turn(tmp_path: Path) -> None:
    prompts: list[str] = []

    def listen(request: Request) -> str:
        prompts.append(asks(request))
        return say(request)

    grow(tmp_path, 60, Scripted(say=listen))
    shown = [prompt.count("Output: ") - 1 for prompt in prompts]
    assert shown[0] == 1
    assert min(shown) >= 1
    assert 5 < max(shown) <= 10
    assert len({("people would really give" in prompt) + ("leave out" in prompt) for prompt in prompts}) == 3


def test_with_its_own_scale_a_larger_target_asks_only_for_what_is_new(tmp_path: Path) -> None:
    few, first = grow(tmp_path, 20, anneal_over=100)
    many, second = grow(tmp_path, 60, anneal_over=100)
    assert many[:20] == few
    assert second.notes["usage"]["cached"] == first.notes["usage"]["calls"]


def test_bad_answers_are_counted(tmp_path: Path) -> None:
    answers = iter(["no example", "Input: 2\nOutput: 4", "Input: 7\nOutput: 7", "Input: 3\nOutput: 6"] * 50)
    rows, context = grow(tmp_path, 3, Scripted(say=lambda _: next(answers)))
    assert {row["input"] for row in rows} == {"3"}
    assert set(context.ledger.counts()["filtered"]) == {
        "no example in the answer",
        "copy of a given example",
        "output repeats the input",
    }


def test_a_teacher_that_gives_nothing_ends_the_step(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match=r"0 of 5.*no example in the answer"):
        grow(tmp_path, 5, Scripted(say=lambda _: "no"), patience=2)


def test_one_task_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="one row, got 2"):
        grow(tmp_path, 5, task=TASK * 2)


def test_the_majority_wins_and_ties_go_to_the_shortest(tmp_path: Path) -> None:
    said = [
        ("a", "long answer"),
        ("a", "short"),
        ("b", "x"),
        ("a", "long answer"),
        ("a", "short"),
        ("b", "y"),
        ("b", "y"),
    ]
    rows = [{"id": str(number), "input": given, "output": output} for number, (given, output) in enumerate(said)]
    result, _ = run(Consensus(LoadRows(rows)), tmp_path, rows=rows)
    assert result == [
        {"id": "0", "input": "a", "output": "short", "votes": 2, "samples": 4},
        {"id": "2", "input": "b", "output": "y", "votes": 2, "samples": 3},
    ]


def test_too_little_agreement_is_dropped(tmp_path: Path) -> None:
    rows = [{"input": "a", "output": output} for output in "xyz"] + [{"input": "b", "output": "z"}]
    result, context = run(Consensus(LoadRows(rows), min_share=0.5), tmp_path, rows=rows)
    assert [row["input"] for row in result] == ["b"]
    assert context.ledger.counts()["filtered"] == {"no answer has 0.5 of the votes": 1}
    with pytest.raises(PotstillError, match="fewer than 9 samples"):
        run(Consensus(LoadRows(rows), min_samples=9), tmp_path, rows=rows)


def test_the_answer_is_no_part_of_the_input() -> None:
    assert [p.field for p in Consensus(LoadRows([{"input": "a"}]), by=("output",)).check()] == ["column"]
