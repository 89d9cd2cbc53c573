"""Self-Instruct as one graph: from seeds to training text, nothing asked twice, and every filter counted."""

from __future__ import annotations

import doctest
import random
from pathlib import Path

import pytest

import fakes
import potstill
from potstill import Pipeline
from potstill.pipelines import self_instruct as module
from potstill.pipelines.self_instruct import self_instruct
from potstill.steps import LoadSeeds
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks

SEEDS = [{"instruction": text, "input": "", "output": "ok"} for text in ("Name a red fruit.", "Say what a fox eats.")]


def say(request: Request) -> str:
    text = asks(request)
    if text.startswith("A task is a classification"):
        return "Yes" if text.splitlines()[-2].startswith("Task: Sort") else "No"
    if text.startswith("For a task whose answer is a label"):
        return "Output: wild\nInput: wolf\nOutput: tame\nInput: dog"
    if text.startswith("Make examples"):
        return "Output: an answer"
    draw = random.Random(request.seed)
    return "\n".join(f"{n}. {draw.choice(['Sort', 'Tell'])} {' '.join(draw.sample(fakes.WORDS, 6))}" for n in range(8))


def test_the_graph_runs_from_seeds_to_prompts(tmp_path: Path) -> None:
    rows = self_instruct(LoadRows(SEEDS), Scripted(say=say), 40, include_seeds=True)
    run = Pipeline("x", outputs={"rows": rows}).run(store=tmp_path / "store")
    result = list(run["rows"].dataset())
    assert [row["task"] for row in result[:2]] == [seed["instruction"] for seed in SEEDS]
    outputs = {row["output"] for row in result[2:]}
    assert outputs == {"wild", "tame", "an answer"}
    assert all((row["output"] == "an answer") == row["task"].startswith("Tell") for row in result[2:])
    assert all(row["task"] in row["instruction"] for row in result)
    again = self_instruct(LoadRows(SEEDS), Scripted(say=pytest.fail), 40, include_seeds=True)
    assert list(Pipeline("x", outputs={"rows": again}).run(store=tmp_path / "store")["rows"].dataset()) == result


def test_the_parts_are_there_to_be_changed() -> None:
    names = {"LoadSeeds": LoadSeeds, "VLLM": potstill.VLLM}
    assert doctest.testmod(module, extraglobs=names).failed == 0
