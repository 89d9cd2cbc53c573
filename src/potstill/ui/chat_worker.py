"""A process that has one model loaded and answers: `python -m potstill.ui.chat_worker`, by JSON lines.

Standard input takes first the model, then `{"ask": {...}}` and `{"cancel": true}`; the process ends with it. Standard
output gives `{"ready": true}`, `{"text": so far}`, `{"done": ...}` and `{"error": ...}`. A model in a process of its
own frees its memory when it is stopped, and can't take the page with it when it runs out of it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from potstill.engine.pipeline import available_cpus
from potstill.errors import PotstillError, described
from potstill.teachers.protocol import Request, Response, Sampling, Session, Streaming, Teacher


class Cancelled(Exception):
    """Whoever asked has gone."""


def teacher_of(model: Mapping[str, Any]) -> Teacher:
    """Return the teacher that runs a model: `engine`, `model` and `settings`, as `ChatModel` has them."""
    settings = dict(model["settings"])
    if model["engine"] == "Endpoint":
        from potstill.teachers.openai.endpoint import Endpoint
        from potstill.ui.chat_endpoints import StreamedEndpoint

        settings["without"] = tuple(settings.get("without", ()))
        # a person waits: two tries more, and not five
        return StreamedEndpoint(Endpoint(model=model["model"], max_retries=2, **settings))
    if model["engine"] == "VLLM":
        from potstill.teachers.vllm.teacher import VLLM

        return VLLM(model["model"], **settings)
    from potstill.teachers.transformers import Transformers

    return Transformers(model["model"], **settings)


def main() -> int:
    """Load the model that is named first, and answer until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    orders: queue.Queue[Mapping[str, Any]] = queue.Queue()
    cancelled = threading.Event()
    model = json.loads(sys.stdin.readline() or "null")
    if model is None:
        return 0
    threading.Thread(target=_listen, args=(sys.stdin, orders, cancelled), daemon=True).start()
    try:
        with teacher_of(model).open(threads=available_cpus()) as session:
            _say(out, {"ready": True})
            while True:
                order = orders.get()
                cancelled.clear()
                _say(out, _answered(session, order, out, cancelled))
    except PotstillError as error:
        _say(out, {"error": str(error)})
        return 1


def _listen(source: IO[str], orders: queue.Queue[Mapping[str, Any]], cancelled: threading.Event) -> None:
    """Take orders; when nobody is left to give any, end the process, whatever it does."""
    for line in source:
        order = json.loads(line)
        if "ask" in order:
            orders.put(order["ask"])
        else:
            cancelled.set()
    os._exit(0)


def _answered(session: Session, order: Mapping[str, Any], out: IO[str], cancelled: threading.Event) -> dict[str, Any]:
    """Answer one question, showing the text as it grows; return the last line."""

    def show(text: str) -> None:
        if cancelled.is_set():
            raise Cancelled
        _say(out, {"text": text})

    sampling = Sampling(temperature=float(order["temperature"]), max_tokens=int(order["max_tokens"]))
    request = Request(list(order["messages"]), sampling, seed=int(order["seed"]))
    try:
        response = _response(session, request, show)
    except Cancelled:
        return {"done": "cancelled"}
    except Exception as error:  # noqa: BLE001 - one question must not end the process that has the model
        return {"error": described(error)}
    if response.finish_reason == "error":
        return {"error": response.text}
    return {"text": response.text, "done": response.finish_reason, "tokens": response.completion_tokens}


def _response(session: Session, request: Request, show: Callable[[str], None]) -> Response:
    """Return the response, streamed where the session can."""
    if isinstance(session, Streaming):
        return session.stream(request, show)
    return next(response for _, response in session.generate([request]))


def _say(out: IO[str], value: Mapping[str, Any]) -> None:
    """Write one line."""
    out.write(json.dumps(value) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
