"""What runs in the process of a model (`model_process.ModelProcess`): it answers by JSON lines.

Standard input takes first the model, then `{"ask": {...}}` and `{"cancel": true}`; the process ends with it. Standard
output gives `{"ready": true}`, `{"text": so far}`, `{"done": ...}` and `{"error": ...}`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import IO, Any

from potstill.errors import PotstillError, described
from potstill.teachers.protocol import Request, Response, Session, Streaming

Show = Callable[[str], None]
"""Takes the text of an answer so far; raises when nobody waits for it any more."""
Answer = Callable[[Mapping[str, Any], Show], dict[str, Any]]
"""Answers a question; what it returns has `done` or `error`."""


class Cancelled(Exception):
    """The reader has gone."""


def answer_questions(opened: Callable[[Mapping[str, Any]], AbstractContextManager[Answer]]) -> int:
    """Open the model that standard input names first, and answer until that ends; returns the exit code."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    questions: queue.Queue[Mapping[str, Any]] = queue.Queue()
    cancelled = threading.Event()
    model = json.loads(sys.stdin.readline() or "null")
    if model is None:
        return 0
    threading.Thread(target=_listen, args=(sys.stdin, questions, cancelled), daemon=True).start()

    def show(text: str) -> None:
        if cancelled.is_set():
            raise Cancelled
        _say(out, {"text": text})

    try:
        with opened(model) as answer:
            _say(out, {"ready": True})
            while True:
                question = questions.get()
                cancelled.clear()
                _say(out, _answered(answer, question, show))
    except PotstillError as error:
        _say(out, {"error": str(error)})
        return 1


def response_of(session: Session, request: Request, show: Show) -> Response:
    """Return the response, streamed where the session can."""
    if isinstance(session, Streaming):
        return session.stream(request, show)
    return next(response for _, response in session.generate([request]))


def _listen(source: IO[str], questions: queue.Queue[Mapping[str, Any]], cancelled: threading.Event) -> None:
    """Take questions; when nobody is left to ask any, end the process, whatever it does."""
    for line in source:
        order = json.loads(line)
        if "ask" in order:
            questions.put(order["ask"])
        else:
            cancelled.set()
    os._exit(0)


def _answered(answer: Answer, question: Mapping[str, Any], show: Show) -> dict[str, Any]:
    """Return the last line of an answer: one question must not end the process that has the model."""
    try:
        return answer(question, show)
    except Cancelled:
        return {"done": "cancelled"}
    except Exception as error:  # noqa: BLE001 - see above
        return {"error": described(error)}


def _say(out: IO[str], value: Mapping[str, Any]) -> None:
    """Write one line."""
    out.write(json.dumps(value) + "\n")
    out.flush()
