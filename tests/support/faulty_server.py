"""A local OpenAI-compatible server that fails as the prompt says, and counts what it was asked.

A prompt `KIND xN ...` fails in that way N times and is then answered; KIND is a status (`429`, `500`), `cut`, `slow`,
`garbage` or `empty`. Any other prompt is answered with `re: PROMPT`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FaultyServer:
    """What the server does, and what it has seen."""

    url: str = ""
    key: str = ""
    """The key that it wants; empty takes any."""
    models: tuple[str, ...] = ("m",)
    """Names that it knows; others get 404."""
    retry_after: str = "0"
    """What it says with 429 and 503."""
    capacity: int = 0
    """Requests at a time; more get 429. 0 takes any number."""
    seconds: float = 0.02
    """How long an answer takes."""
    slow: float = 1.0
    """How long a slow one takes."""
    context: int = 1000
    """Words of the longest prompt."""
    usage: tuple[int, int] = (3, 2)
    """Tokens that it says it read and wrote."""
    streams: bool = False
    """Whether it streams where that is asked for, a word at a time; else answers come whole."""
    tries: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    at: list[float] = field(default_factory=list)
    running: int = 0
    most: int = 0
    history: list[int] = field(default_factory=list)
    """Requests running whenever one came in."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: FaultyServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.reply(200, json.dumps({"data": [{"id": name} for name in self.server_state.models]}))

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        with state.lock:
            state.bodies.append(body)
            state.paths.append(self.path)
            state.keys.add(self.headers.get("Authorization", ""))
            state.at.append(time.monotonic())
            state.tries[prompt] += 1
            tried = state.tries[prompt]
            state.running += 1
            state.most = max(state.most, state.running)
            state.history.append(state.running)
            full = bool(state.capacity) and state.running > state.capacity
        try:
            self.answer(body, prompt, tried, full)
        finally:
            with state.lock:
                state.running -= 1

    def answer(self, body: dict[str, Any], prompt: str, tried: int, full: bool) -> None:
        state = self.server_state
        said = self.headers.get("Authorization", "")
        if state.key and said != f"Bearer {state.key}":
            return self.refuse(401, f"Incorrect API key provided: {said}", "invalid_api_key")
        if body["model"] not in state.models:
            return self.refuse(404, f"The model {body['model']!r} does not exist", "model_not_found")
        if len(prompt.split()) > state.context:
            text = f"This model's maximum context length is {state.context} tokens. However, your prompt contains "
            return self.refuse(400, f"{text}{len(prompt.split())} input tokens.", "context_length_exceeded")
        if full:
            return self.refuse(429, "too many requests", "rate_limit_exceeded")
        kind, _, rest = prompt.partition(" x")
        times = rest.split(" ")[0]
        if times.isdigit() and tried <= int(times):
            return self.fail(kind)
        time.sleep(state.seconds)
        finish = "length" if prompt == "long" else "content_filter" if prompt == "bad" else "stop"
        text = f"re: {prompt}"
        choice = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
        if state.streams and body.get("stream"):
            return self.stream(text, finish)
        usage = dict(zip(("prompt_tokens", "completion_tokens"), state.usage, strict=True))
        with state.lock:
            state.answered[prompt] += 1
        return self.reply(200, json.dumps({"choices": [{**choice, "finish_reason": finish}], "usage": usage}))

    def stream(self, text: str, finish: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        words = text.split(" ")
        deltas = [{"role": "assistant"}, *({"content": word if not n else f" {word}"} for n, word in enumerate(words))]
        for delta in deltas:
            self.wfile.write(f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n: still here\n\n".encode())
        end = json.dumps({"choices": [{"delta": {}, "finish_reason": finish}]})
        self.wfile.write(f"data: {end}\n\ndata: [DONE]\n\n".encode())
        self.close_connection = True

    def fail(self, kind: str) -> None:
        if kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.wfile.flush()
            # a reset, as of a server that was killed
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif kind == "slow":
            time.sleep(self.server_state.slow)
            self.reply(200, "{}")
        elif kind == "garbage":
            self.reply(200, "<html>hello</html>")
        elif kind == "empty":
            self.reply(200, '{"choices": []}')
        else:
            self.refuse(int(kind), f"no: {self.headers.get('Authorization')}", "injected")

    def refuse(self, status: int, message: str, code: str) -> None:
        wait = {"Retry-After": self.server_state.retry_after} if status in (429, 503) else {}
        self.reply(status, json.dumps({"error": {"message": message, "code": code}}), wait)

    def reply(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        with self.server_state.lock:
            self.server_state.statuses[status] += 1
        data = text.encode()
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # whoever asked has gone


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def faulty_server(port: int = 0, **fields: Any) -> Iterator[FaultyServer]:
    """Serve on a port of this machine until the block ends."""
    state = FaultyServer(**fields)
    http = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"server_state": state}))
    state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
