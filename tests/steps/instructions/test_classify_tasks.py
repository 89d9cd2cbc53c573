"""Which tasks are classifications: 31 examples in the prompt, Yes or No read out of the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.data import self_instruct
from potstill.steps.instructions.classify_tasks import DetectClassification, yes_or_no
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

TASKS = [{"id": "a", "instruction": "Is it spam?"}, {"id": "b", "instruction": "Write a poem."}]


def judge(request: Request) -> str:
    return " Yes, it is." if "Is it spam?" in asks(request) else "no"


def test_the_answers_become_a_column(tmp_path: Path) -> None:
    step = DetectClassification(LoadRows(TASKS), teacher=Scripted(say=judge))
    rows, context = run(step, tmp_path, rows=TASKS)
    assert rows == [{**TASKS[0], "is_classification": True}, {**TASKS[1], "is_classification": False}]
    assert context.ledger.kept == 2


def test_the_prompt_shows_31_examples_of_which_12_are_classifications(tmp_path: Path) -> None:
    shown = self_instruct.examples("classification.jsonl")
    assert (len(shown), sum(example["is_classification"] for example in shown)) == (31, 12)
    prompts: list[str] = []
    step = DetectClassification(
        LoadRows(TASKS), teacher=Scripted(say=lambda request: prompts.append(asks(request)) or "No")
    )
    run(step, tmp_path, rows=TASKS[:1])
    assert prompts[0].count("Task: ") == 32
    assert (prompts[0].count("Classification: Yes"), prompts[0].count("Classification: No")) == (12, 19)
    assert prompts[0].endswith("Task: Is it spam?\nClassification:")


def test_own_examples_take_the_place_of_potstills(tmp_path: Path) -> None:
    prompts: list[str] = []
    teacher = Scripted(say=lambda request: prompts.append(asks(request)) or "No")
    own = [{"instruction": "Sort it.", "is_classification": True}]
    step = DetectClassification(LoadRows(TASKS), teacher=teacher, examples=LoadRows(own))
    run(step, tmp_path, rows=TASKS[:1], examples=own)
    assert prompts[0].count("Task: ") == 2
    assert "Task: Sort it.\nClassification: Yes" in prompts[0]


def test_an_answer_that_is_neither_is_asked_again_and_then_lost_with_its_text(tmp_path: Path) -> None:
    seeds: list[int] = []
    teacher = Scripted(say=lambda request: seeds.append(request.seed) or "perhaps")
    rows, context = run(DetectClassification(LoadRows(TASKS), teacher=teacher, max_tries=3), tmp_path, rows=TASKS[:1])
    assert not rows
    assert len(set(seeds)) == 3
    assert context.ledger.total("permanent") == 1
    assert "perhaps" in (tmp_path / "lost.jsonl").read_text()


@pytest.mark.parametrize(("text", "value"), [("Yes", True), ("**No.**", False), (" yes\n", True), ("False", False)])
def test_reading_yes_and_no(text: str, value: bool) -> None:
    assert yes_or_no(text) is value


@pytest.mark.parametrize("text", ["", "Maybe yes", "Nothing", "yesterday"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="yes, no"):
        yes_or_no(text)
