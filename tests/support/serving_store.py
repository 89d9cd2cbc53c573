"""A store with what `potstill serve` meets: a chat model, a classifier and rows, in two pipelines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import tiny_encoders
from potstill import Pipeline, Step
from potstill.data import home
from potstill.engine.progress import Silent
from potstill.steps import LoadRows


class Student(Step):
    """Stands for a trained student: a small language model that controls a home."""

    makes: ClassVar[str] = "model"

    def run(self, context: Any) -> Any:
        shutil.copytree(home.FOLDER / "teacher", context.out, dirs_exist_ok=True)
        return context.out


class Mood(Step):
    """Stands for a trained classifier."""

    makes: ClassVar[str] = "model"

    def run(self, context: Any) -> Any:
        return tiny_encoders.classifier(context.out)


def made(folder: Path) -> Path:
    """Run the pipelines into the store at `folder`, and return it."""
    rows = LoadRows([{"a": 1}], name="rows")
    outputs: dict[str, Step] = {"student": Student(name="trained"), "mood": Mood(name="mood"), "rows": rows}
    Pipeline("talk", outputs=outputs).run(store=folder, watcher=Silent())
    other: dict[str, Step] = {"rows": LoadRows([{"a": 2}], name="rows")}
    Pipeline("other", outputs=other).run(store=folder, watcher=Silent())
    return folder
