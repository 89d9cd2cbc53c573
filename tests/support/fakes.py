"""A deterministic teacher without a model, for tests of the engine: text from a hash of the messages and the seed."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from potstill.teachers.protocol import Request, Response

if TYPE_CHECKING:
    from potstill.engine.context import Context

WORDS = (
    "amber birch cedar delta ember fjord grove heron inlet jasper kelp lumen maple north otter pearl quartz river "
    "stone thorn umber violet willow xenon yarrow zephyr"
).split()


@dataclass(frozen=True)
class EchoTeacher:
    """Answers every chat with words drawn by its hash."""

    model: Any = "echo"
    """Part of the identity; may be a step."""
    system: str = ""
    """System prompt, part of the identity."""
    log: str = ""
    """File that gets one line a finished call, flushed to disk before the response is yielded; empty keeps none."""
    delay: float = 0.0
    """Seconds that each call takes."""
    failing: tuple[str, ...] = ()
    """Prompts that hold one of these texts fail."""
    retryable: bool = True
    """Whether those failures may be asked again."""
    fixed_by: str = ""
    """A file whose existence ends the failures."""
    lines: int = 0
    """0 answers on one line; n answers with a numbered list of n lines."""
    words: int = 6
    """Words a line."""

    heavy: ClassVar[bool] = False
    unkeyed: ClassVar[frozenset[str]] = frozenset({"log", "delay", "failing", "retryable", "fixed_by"})

    @property
    def label(self) -> str:
        return "echo"

    def identity(self) -> dict[str, Any]:
        model = self.model if isinstance(self.model, str) else str(getattr(self.model, "name", "step"))
        return {"model": model, "system": self.system, "lines": self.lines, "words": self.words}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[EchoSession]:
        yield EchoSession(self)


@dataclass(frozen=True)
class EchoSession:
    """The open echo teacher: yields its responses one by one."""

    teacher: EchoTeacher

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            prompt = request.messages[-1]["content"]
            if self.teacher.delay:
                time.sleep(self.teacher.delay)
            self._log(request)
            fixed = self.teacher.fixed_by and Path(self.teacher.fixed_by).exists()
            if not fixed and any(text in prompt for text in self.teacher.failing):
                yield index, Response("injected failure", "error", retryable=self.teacher.retryable)
                continue
            yield index, self._answer(request)

    def _log(self, request: Request) -> None:
        if not self.teacher.log:
            return
        line = f"{_seed_of(self.teacher, request):016x} {request.messages[-1]['content'][:200]!r}\n"
        file = os.open(self.teacher.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def _answer(self, request: Request) -> Response:
        draw = np.random.default_rng(_seed_of(self.teacher, request))
        lines = [" ".join(draw.choice(WORDS, self.teacher.words)) for _ in range(max(self.teacher.lines, 1))]
        numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
        text = numbered if self.teacher.lines else lines[0]
        count, k = len(text.split()), request.sampling.top_k
        logprobs = np.log(np.sort(draw.dirichlet(np.ones(k + 1), count), axis=1)[:, :0:-1]) if k else None
        return Response(
            text,
            "stop",
            prompt_tokens=sum(len(message["content"].split()) for message in request.messages),
            completion_tokens=count,
            token_ids=draw.integers(0, 100, count, dtype=np.int32) if k else None,
            top_ids=draw.integers(0, 100, (count, k), dtype=np.int32) if k else None,
            top_logprobs=None if logprobs is None else logprobs.astype(np.float16),
        )


def _seed_of(teacher: EchoTeacher, request: Request) -> int:
    asked = repr((sorted(teacher.identity().items()), request.messages, request.sampling, request.seed))
    return int.from_bytes(hashlib.sha256(asked.encode()).digest()[:8], "big")


def calls(log: str | Path) -> list[str]:
    """Return the logged calls."""
    path = Path(log)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def context_in(folder: Path, name: str = "step") -> Context:
    """Return a context whose journal, ledger and folders are in `folder`; a second one there finds the same journal."""
    from potstill.engine.context import Context
    from potstill.engine.ledger import Ledger
    from potstill.engine.store.journal import Journal

    for part in ("scratch", "out"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "journal.sqlite")
    return Context(
        step=name,
        key="0" * 32,
        work=folder / "scratch",
        out=folder / "out",
        journal=journal.scoped(name),
        store_journal=journal,
        ledger=Ledger(folder / "lost.jsonl"),
        logger=logging.getLogger(f"test.{name}"),
    )
