"""An endpoint that fails in every way a server can: each row gets its answer, or its own clear error."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from potstill.errors import BadInput
from potstill.teachers import endpoint
from potstill.teachers.endpoint import Endpoint
from potstill.teachers.protocol import Request, Response, Sampling

GREEDY = Sampling()
KEY = "sk-very-secret"


@dataclass
class Server:
    """A local server that does what the prompt says, `times` times, and then answers."""

    url: str = ""
    tries: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body["messages"][-1]["content"]
            with server.lock:
                server.bodies.append(body)
                server.keys.add(self.headers.get("Authorization", ""))
                server.tries[prompt] += 1
                tried = server.tries[prompt]
                server.running += 1
                server.most = max(server.most, server.running)
            try:
                self.answer(prompt, tried)
            finally:
                with server.lock:
                    server.running -= 1

        def answer(self, prompt: str, tried: int) -> None:
            what, _, times = prompt.partition(" x")
            if times and tried <= int(times):
                if what == "cut":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"choices": [')
                    self.close_connection = True
                elif what == "slow":
                    time.sleep(1.0)
                    self.reply(200, "{}")
                elif what == "garbage":
                    self.reply(200, "<html>hello</html>")
                elif what == "empty":
                    self.reply(200, '{"choices": []}')
                else:
                    self.reply(int(what), f"no: {self.headers.get('Authorization')}", {"Retry-After": "0"})
                return
            finish = "length" if prompt == "long" else "content_filter" if prompt == "bad" else "stop"
            time.sleep(0.02)
            said = {"choices": [{"message": {"content": f"re: {prompt}"}, "finish_reason": finish}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip
            self.reply(200, json.dumps(said))

        def reply(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
            data = text.encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()


def answers(teacher: Endpoint, prompts: list[str], sampling: Sampling = GREEDY) -> dict[str, Response]:
    requests = [Request([{"role": "user", "content": prompt}], sampling, seed=5) for prompt in prompts]
    with teacher.open(threads=1) as session:
        return {prompts[index]: response for index, response in session.generate(requests)}


def test_every_kind_of_failure_is_retried(server: Server) -> None:
    failing = ["429 x2", "500 x1", "503 x3", "cut x1", "garbage x2", "empty x1", "slow x1", "fine"]
    got = answers(Endpoint(server.url, "m", timeout=0.4), failing)
    assert {prompt: response.text for prompt, response in got.items()} == {p: f"re: {p}" for p in failing}
    assert server.tries["503 x3"] == 4
    assert server.tries["fine"] == 1
    assert (got["fine"].prompt_tokens, got["fine"].completion_tokens) == (3, 2)


def test_what_stays_broken_is_the_error_of_that_row_alone(server: Server) -> None:
    got = answers(Endpoint(server.url, "m", max_retries=2), ["500 x99", "garbage x99", "400 x1", "bad", "fine", "long"])
    assert got["fine"].text == "re: fine"
    assert got["long"].finish_reason == "length"
    for prompt, text, retryable in (
        ("500 x99", "3 attempts: 500", True),
        ("garbage x99", "unreadable", True),
        ("400 x1", "400", False),
        ("bad", "content_filter", False),
    ):
        assert got[prompt].finish_reason == "error"
        assert text in got[prompt].text
        assert got[prompt].retryable is retryable
    assert server.tries["400 x1"] == 1


def test_the_key_is_sent_and_shown_nowhere(server: Server) -> None:
    teacher = Endpoint(server.url, "m", max_retries=0)
    got = answers(teacher, ["500 x9"])
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in got["500 x9"].text
    assert KEY not in repr(teacher) + repr(teacher.identity())
    with teacher.open(threads=1) as session:
        assert KEY not in repr(session)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_hits_every_row_ends_the_step(server: Server, status: int) -> None:
    with pytest.raises(BadInput, match=f"{status}.*OPENAI_API_KEY") as caught:
        answers(Endpoint(server.url, "m"), ["fine", f"{status} x9"])
    assert KEY not in str(caught.value)


def test_no_more_than_the_allowed_requests_are_in_flight(server: Server) -> None:
    got = answers(Endpoint(server.url, "m", concurrency=4), [f"p{number}" for number in range(40)])
    assert len(got) == 40
    assert 2 <= server.most <= 4


def test_answers_are_yielded_as_they_come_and_requests_drawn_as_needed(server: Server) -> None:
    drawn = []

    def requests() -> Iterator[Request]:
        for number in range(100):
            drawn.append(number)
            yield Request([{"role": "user", "content": "slow x1" if number == 0 else f"p{number}"}], Sampling())

    with Endpoint(server.url, "m", concurrency=2).open(threads=1) as session:
        stream = session.generate(requests())
        assert next(stream)[0] == 1
        assert len(drawn) <= 3
        stream.close()  # type: ignore[attr-defined]
    assert len(server.bodies) <= 4


def test_the_request_says_what_was_asked(server: Server) -> None:
    answers(Endpoint(server.url, "m", system="be brief"), ["p"], Sampling(0.7, 0.9, 33, ("END",)))
    body = server.bodies[0]
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "p"}]
    asked = {name: value for name, value in body.items() if name != "messages"}
    expected = {"model": "m", "temperature": 0.7, "top_p": 0.9, "max_tokens": 33, "stop": ["END"], "seed": 5}
    assert asked == expected


def test_log_probabilities_are_refused(server: Server) -> None:
    with pytest.raises(BadInput, match="without token ids"):
        answers(Endpoint(server.url, "m"), ["p"], Sampling(top_k=5))
    assert not server.bodies


def test_a_server_that_is_down_is_an_error_that_can_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    got = answers(Endpoint("http://127.0.0.1:9/v1", "m", max_retries=1), ["p"])
    assert got["p"].finish_reason == "error"
    assert got["p"].retryable
    assert "ConnectError" in got["p"].text


def test_identity_and_check() -> None:
    assert Endpoint("http://a/v1/", "m").identity() == Endpoint("http://a/v1", "m", timeout=1).identity()
    assert Endpoint("http://a/v1", "m").identity() != Endpoint("http://b/v1", "m").identity()
    assert "password" in str(*Endpoint("http://me:pw@a/v1", "m").check())
    assert "no http" in str(*Endpoint("localhost:8000", "m").check())
    assert not list(Endpoint("http://a/v1", "m").check())
