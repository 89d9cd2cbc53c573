"""A teacher that answers by a function, and running one step on a few rows without a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakes
from potstill.teachers.protocol import Request, Response

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.engine.step import Step


def silent(request: Request) -> str:
    return "nothing"


@dataclass(frozen=True)
class Scripted(fakes.EchoTeacher):
    """Answers with what `say` returns for the request: a text, or a whole response."""

    say: Callable[[Request], str | Response] = silent

    @contextmanager
    def open(self, *, threads: int) -> Iterator[ScriptedSession]:
        yield ScriptedSession(self)


@dataclass(frozen=True)
class ScriptedSession:
    teacher: Scripted

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            fakes.EchoSession(self.teacher)._log(request)
            said = self.teacher.say(request)
            yield index, said if isinstance(said, Response) else Response(said, "stop", 1, 1)


def asks(request: Request) -> str:
    """Return the user's message."""
    return request.messages[-1]["content"]


def run(step: Step, folder: Path, **rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Context]:
    """Run a step on `rows` by edge field; a second run in the same folder finds the same journal."""
    from datasets import Dataset

    context = fakes.context_in(folder)
    inputs: dict[str, Any] = {name: Dataset.from_list(value) for name, value in rows.items()}
    inputs |= {name: vars(step)[name] for name in ("teacher", "model", "encoder") if vars(step).get(name) is not None}
    return list(step.run(**inputs, context=context)), context  # type: ignore[attr-defined]
