"""A local server that answers each request with whatever a function returns, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fakes import context_in
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.protocol import Request, Response, Sampling

KEY = "sk-very-secret"
Answer = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
"""Status, body (bytes, or what is sent as JSON), headers."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass
class OddServer:
    """What came in, and where."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [one.body for one in self.asked]


def said(content: Any, finish: Any = "stop", usage: Any = None, **message: Any) -> Answer:
    """Return a chat's answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return 200, {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2} if usage is None else usage}


def refused(status: int, message: Any, **fields: Any) -> Answer:
    """Return a refusal."""
    return status, {"error": {"message": message, **fields}}


@contextmanager
def odd_server(answer: Callable[[Asked], Answer], models: Answer | None = None) -> Iterator[OddServer]:
    """Serve on a port of this machine until the block ends; `models` answers what is not a POST."""
    state = OddServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.reply(*(models or (200, {"data": [{"id": "m"}]})))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(self.path, dict(self.headers.items()), body)
            with state.lock:
                state.asked.append(asked)
            self.reply(*answer(asked))

        def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()


def ask(teacher: Any, folder: Path, rows: int = 3, system: str = "") -> tuple[dict[int, Response], dict[str, Any]]:
    """Ask for `rows` answers to `question N`; return them and the notes of the step."""
    context = context_in(folder)
    start = [{"role": "system", "content": system}] if system else []
    with Asker(teacher, context) as asker:
        answers = dict(
            asker.ask(
                (n, Request([*start, {"role": "user", "content": f"question {n}"}], Sampling(max_tokens=100, stop=())))
                for n in range(rows)
            )
        )
    return answers, context.notes


def fine(_asked: Asked) -> Answer:
    return said("fine")


def one_odd(answer: Answer) -> Callable[[Asked], Answer]:
    """Answer the second row with `answer`, the others well."""
    return lambda asked: answer if asked.prompt == "question 1" else said("fine")
