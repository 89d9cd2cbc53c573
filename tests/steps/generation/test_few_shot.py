"""Examples before each question: the same for all, or drawn for each, always by the seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes import EchoTeacher
from potstill import Pipeline
from potstill.errors import BadInput, RequestError
from potstill.steps import LoadSeeds
from potstill.steps.generation.few_shot import FewShotPrompt
from scripted import Scripted, asks, run

SEEDS = LoadSeeds("unused")
EXAMPLES = [{"id": f"e{number}", "instruction": f"{number} + 1", "output": str(number + 1)} for number in range(20)]
ROWS = [{"id": f"r{number}", "instruction": f"{number} + 2"} for number in range(5)]


def prompts(folder: Path, **parameters: Any) -> list[str]:
    step = FewShotPrompt(SEEDS, SEEDS, teacher=Scripted(say=asks), **parameters)
    return [row["output"] for row in run(step, folder, rows=ROWS, examples=EXAMPLES)[0]]


def test_all_rows_see_the_same_examples_and_then_their_question(tmp_path: Path) -> None:
    seen = prompts(tmp_path, k=3, task="Add.")
    assert len({text.rsplit("Question:", 1)[0] for text in seen}) == 1
    assert seen[1].startswith("Add.\n\nQuestion: ")
    assert seen[1].endswith("Question: 1 + 2\nAnswer:")
    assert seen[1].count("Question:") == 4


def test_examples_can_be_drawn_for_each_row(tmp_path: Path) -> None:
    seen = prompts(tmp_path, k=3, per_row=True)
    assert len({text.rsplit("Question:", 1)[0] for text in seen}) == 5
    assert prompts(tmp_path, k=3, per_row=True) == seen
    assert prompts(tmp_path, k=3, per_row=True, seed=1) != seen


def test_more_examples_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="21 examples are to be shown, but there are 20"):
        prompts(tmp_path, k=21)


def test_what_the_template_uses_of_an_example_is_checked_before_the_run(tmp_path: Path) -> None:
    seeds, examples = tmp_path / "seeds.jsonl", tmp_path / "examples.jsonl"
    seeds.write_text('{"instruction": "a"}\n')
    examples.write_text('{"instruction": "a", "answer": "b"}\n')
    step = FewShotPrompt(LoadSeeds(seeds), LoadSeeds(examples), teacher=EchoTeacher(), k=1)
    assert step.needs() == {"rows": ("instruction",), "examples": ("instruction", "output")}
    with pytest.raises(RequestError, match=r"needs column output, .* \(it has answer, id, instruction\)"):
        Pipeline("x", outputs={"rows": step}).check()
