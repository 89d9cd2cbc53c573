"""One description becomes an instruction and examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fakes
from potstill.errors import PotstillError
from potstill.steps.instructions.parse_prompt import ParsePrompt, read_task
from scripted import Scripted

GOOD = json.dumps({"instruction": "Name the capital.", "examples": [{"input": "Peru", "output": "Lima"}]})


def parse(tmp_path: Path, *answers: str, **parameters):
    said = iter(answers)
    step = ParsePrompt("Name the capital. Peru: Lima", teacher=Scripted(say=lambda _: next(said)), **parameters)
    context = fakes.context_in(tmp_path)
    return step.run(teacher=step.teacher, context=context), context


def test_one_row_with_its_examples(tmp_path: Path) -> None:
    table, _ = parse(tmp_path, f"Here it is:\n```json\n{GOOD}\n```")
    assert table.to_pylist() == [
        {"id": "task", "instruction": "Name the capital.", "examples": [{"input": "Peru", "output": "Lima"}]}
    ]


def test_no_examples_have_the_same_columns(tmp_path: Path) -> None:
    some, _ = parse(tmp_path / "a", GOOD)
    none, _ = parse(tmp_path / "b", '{"instruction": "Name the capital.", "examples": []}')
    assert none.schema == some.schema
    assert none.to_pylist()[0]["examples"] == []


def test_a_failure_is_tried_again_and_then_told(tmp_path: Path) -> None:
    table, _ = parse(tmp_path / "a", "no", "{}", GOOD)
    assert len(table) == 1
    with pytest.raises(PotstillError, match="not parsed in 2 tries"):
        parse(tmp_path / "b", "no", '{"instruction": 3}', max_tries=2)
    lost = (tmp_path / "b" / "lost.jsonl").read_text()
    assert "no instruction in the object" in lost
    assert "'no'" in lost


@pytest.mark.parametrize("text", ["", "[]", "{", '{"instruction": " "}', '{"instruction": "a", "examples": ["b"]}'])
def test_what_is_no_task(text: str) -> None:
    with pytest.raises((ValueError, AttributeError)):
        read_task(text)


def test_an_empty_description() -> None:
    assert [problem.field for problem in ParsePrompt("  ", teacher=Scripted()).check()] == ["text"]
