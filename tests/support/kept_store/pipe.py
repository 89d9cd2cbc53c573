"""A pipeline of light steps whose results are kept beside it in `store`; an edit of its code makes them worthless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from potstill import Pipeline, Rows, Step
from potstill.steps import (
    SQL,
    Concat,
    Deduplicate,
    FilterRows,
    LoadJSON,
    LoadRows,
    PseudoLabel,
    Rename,
    Select,
    Shuffle,
    Split,
)
from potstill.teachers.protocol import Request, Response
from potstill.text.ngrams import normal


@dataclass(frozen=True)
class Scripted:
    """Answers with the question turned round, and notes each call in a file."""

    log: str = "calls.log"
    heavy: ClassVar[bool] = False
    unkeyed: ClassVar[frozenset[str]] = frozenset({"log"})

    @property
    def label(self) -> str:
        return "scripted"

    def identity(self) -> dict[str, Any]:
        return {"model": "scripted"}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Scripted]:
        yield self

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            question = request.messages[-1]["content"]
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(f"{question}\n")
            yield index, Response(question[::-1], "stop", prompt_tokens=len(question), completion_tokens=1)


class Louder(Step):
    """Makes answers louder."""

    rows: Rows
    mark: str = "!"
    makes = "rows"

    def run(self, rows):
        return ({"id": row["id"], "text": normal(row["output"]).upper() + self.mark} for row in rows)


def is_short(row):
    return len(row["instruction"]) < 40


read = LoadJSON("rows.json")
given = LoadRows([{"id": f"g{number}", "question": f"What is {number} and {number % 3}?"} for number in range(8)])
both = Concat([read, given])
renamed = Rename(both, {"question": "instruction"})
unlike = Deduplicate(renamed)
short = FilterRows(unlike, keep=is_short)
parts = Split(short, test=0.25, seed=3)
mixed = Shuffle(parts.train, seed=1)
chosen = Select(mixed, ["id", "instruction"])
answers = PseudoLabel(chosen, teacher=Scripted(), prompt="Say: {{ instruction }}", temperature=0.5)
loud = Louder(answers)
counts = SQL("select count(*) as questions, max(length(text)) as longest from loud", tables={"loud": loud})
pipeline = Pipeline("kept", outputs={"counts": counts, "test": parts.test})
