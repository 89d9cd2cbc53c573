"""A pipeline file that tests of the loader and of `--set` load, in a process that is as before afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline

TEXT = """
from dataclasses import dataclass
from typing import Any

from potstill import Pipeline, Rows, Step


@dataclass(frozen=True)
class Teacher:
    model: Any = "small"
    scale: float = 1.0
    heavy = False

    def identity(self):
        return {"model": self.model}


class Make(Step):
    n: int = 3
    text: str = "x"
    words: tuple = ("a",)
    teacher: Any = None

    def __post_init__(self):
        object.__setattr__(self, "prepared", self.n * 2)

    def run(self):
        return [{"n": 1}]


class Use(Step):
    rows: Rows
    teacher: Any = None
    outputs = ("left", "right")
    right_share: float = 0.5
    spelled = {"right": "right_share"}

    def run(self, rows):
        return {"left": rows, "right": rows}


teacher = Teacher()
made = Make(teacher=teacher)
used = Use(made, teacher=teacher)
last = Use(used.left)
pipeline = Pipeline("loaded", outputs={"last": last.right, "made": made})
"""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    path, given, main = list(sys.path), list(sys.argv), sys.modules["__main__"]
    yield
    sys.path[:], sys.argv[:] = path, given
    sys.modules["__main__"] = main
    sys.modules.pop("__mp_main__", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loaded.py"
    path.write_text(TEXT)
    return path


def steps(pipeline: Pipeline) -> dict[str, Any]:
    graph = pipeline.graph()
    return {graph.name(step): step for step in graph.steps}
