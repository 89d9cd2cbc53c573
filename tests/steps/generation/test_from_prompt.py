"""Rows from an instruction alone, and from one whose attributes are dealt out evenly."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import fakes
from fakes import EchoTeacher
from potstill.steps.generation.attributes import DataFromAttributedPrompt, dealt
from potstill.steps.generation.from_prompt import DataFromPrompt
from scripted import Scripted, asks, run


def test_one_instruction_gives_n_rows_and_more_cost_only_the_new_ones(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    five, _ = run(DataFromPrompt("Write a line.", teacher=EchoTeacher(log=log), n=5), tmp_path)
    seven, _ = run(DataFromPrompt("Write a line.", teacher=EchoTeacher(log=log), n=7), tmp_path)
    assert seven[:5] == five
    assert len({row["output"] for row in seven}) == len({row["id"] for row in seven}) == 7
    assert len(fakes.calls(log)) == 7
    assert DataFromPrompt("x", teacher=EchoTeacher(), n=2).columns({}) == set(five[0])


def test_greedy_rows_and_strange_variables_are_refused() -> None:
    step = DataFromPrompt("x", teacher=EchoTeacher(), n=2, temperature=0.0, prompt="{{ instruction }} in {{ style }}")
    assert [problem.field for problem in step.check()] == ["prompt", "n"]
    assert "uses style, which nothing gives; known are: instruction" in next(iter(step.check())).message


@pytest.mark.parametrize("sizes", [[2, 2], [3, 3], [2, 3, 4], [4, 6], [6, 4, 3], [1, 5], [2, 2, 2, 2], [5]])
def test_values_are_dealt_evenly_at_every_length(sizes: list[int]) -> None:
    total = math.prod(sizes)
    rows = [tuple(dealt(number, sizes)) for number in range(2 * total)]
    for length in range(1, 2 * total + 1):
        for attribute, size in enumerate(sizes):
            counts = Counter(row[attribute] for row in rows[:length])
            assert max(counts.values()) - min(counts.get(value, 0) for value in range(size)) <= 1
    assert len(set(rows[:total])) == total
    assert rows[:total] == rows[total:]


def test_each_row_is_asked_with_its_own_values(tmp_path: Path) -> None:
    attributes = {"mood": ("glad", "sad"), "thing": ["lamp", "fan", "oven"]}
    step = DataFromAttributedPrompt(
        "A {{ mood }} review of a {{ thing }}.", attributes, teacher=Scripted(say=asks), n=12
    )
    rows, _ = run(step, tmp_path)
    assert all(row["output"] == f"A {row['mood']} review of a {row['thing']}." for row in rows)
    assert set(Counter((row["mood"], row["thing"]) for row in rows).values()) == {2}
    other = DataFromAttributedPrompt(
        "A {{ mood }} review of a {{ thing }}.", attributes, teacher=Scripted(say=asks), n=12, seed=1
    )
    assert run(other, tmp_path)[0] != rows


def test_a_combination_that_comes_again_is_drawn_again(tmp_path: Path) -> None:
    step = DataFromAttributedPrompt("{{ mood }}", {"mood": ("glad", "sad")}, teacher=EchoTeacher(), n=10)
    rows, _ = run(step, tmp_path)
    assert len({row["output"] for row in rows}) == 10


@pytest.mark.parametrize(
    ("prompt", "attributes", "problem"),
    [
        ("{{ mood }} {{ place }}", {"mood": ["glad"]}, "uses place, which nothing gives; known are: mood"),
        ("{{ mood }}", {"mood": ["glad"], "place": ["hut"]}, "never uses place"),
        ("{{ mood }}", {"mood": ["glad", "glad"]}, "a list of different values"),
        ("{{ mood }}", {"mood": "glad"}, "a list of different values"),
        ("{{ mood }}", {"mood": []}, "a list of different values"),
        ("{{ id }}", {"id": ["a"]}, "a column that the step makes"),
        ("{{ x", {"x": ["a"]}, "the template has a mistake"),
    ],
)
def test_attributes_and_variables_must_fit(prompt: str, attributes: dict[str, Any], problem: str) -> None:
    step = DataFromAttributedPrompt(prompt, attributes, teacher=EchoTeacher(), n=1)
    assert problem in " ".join(str(actual) for actual in step.check())
