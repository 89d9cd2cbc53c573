"""A finished model is served to this machine alone, and is a teacher for Potstill itself; Ctrl-C ends all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import serving_store
from browser import opened
from potstill import Endpoint
from potstill.cli import main
from potstill.teachers.protocol import Request, Sampling

KEY = "a-key-of-the-tests-0123"
CHAT = [{"role": "user", "content": "turn on the light"}]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return serving_store.made(tmp_path_factory.mktemp("serving"))


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str
    page: str

    def client(self, key: str = KEY) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=120)


def started(store: Path, wanted: str, **environment: str) -> Server:
    words = ["serve", wanted, "--store", str(store), "--port", "0", "--no-browser", "--runtime", "transformers"]
    process = subprocess.Popen(
        [sys.executable, "-m", "potstill", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    assert "by transformers" in process.stdout.readline()
    page = process.stdout.readline().strip()
    assert page.startswith("http://127.0.0.1:"), page + process.communicate()[1]
    return Server(process, page.partition("/?")[0], page)


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    one = started(store, "talk:student", POTSTILL_SERVE_KEY=KEY)
    yield one
    one.process.send_signal(signal.SIGINT)
    _, errors = one.process.communicate(timeout=30)
    assert (one.process.returncode, errors) == (0, "")


@pytest.mark.slow
def test_a_served_model_is_a_teacher(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVED_KEY", KEY)
    teacher = Endpoint(f"{server.url}/v1", "student", api_key_env="SERVED_KEY")
    requests = [Request(CHAT, Sampling(max_tokens=40)), Request(CHAT, Sampling(max_tokens=3))]
    with teacher.open(threads=1) as session:
        whole, cut = (response for _, response in sorted(session.generate(requests), key=lambda one: one[0]))
    assert json.loads(whole.text)["device"] == "light"
    assert (whole.finish_reason, cut.finish_reason) == ("stop", "length")
    assert cut.completion_tokens == 3 and cut.prompt_tokens == whole.prompt_tokens > 3


@pytest.mark.slow
def test_a_stream_has_the_same_answer_in_parts_and_ends_before_a_stop(server: Server) -> None:
    body = {"messages": CHAT, "temperature": 0, "max_tokens": 40, "model": "student"}
    with server.client() as client:
        whole = client.post("/v1/chat/completions", json=body).json()
        text, last = streamed(client, {**body, "stream_options": {"include_usage": True}})
        assert text == whole["choices"][0]["message"]["content"]
        assert last["usage"] == whole["usage"]
        stopped, _ = streamed(client, {**body, "stop": ['"room', "never"]})
    assert stopped == text[: text.index('"room')]


def streamed(client: httpx.Client, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of a stream, and its last event."""
    answer = client.post("/v1/chat/completions", json={**body, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert data[-1] == "[DONE]"
    events = [json.loads(one) for one in data[:-1]]
    parts = [choice["delta"].get("content", "") for event in events for choice in event["choices"]]
    assert sum(bool(choice["finish_reason"]) for event in events for choice in event["choices"]) == 1
    return "".join(parts), events[-1]


@pytest.mark.slow
def test_a_wrong_request_is_told_all_that_is_wrong_in_openai_s_form(server: Server) -> None:
    wrong = {"messages": [{"role": "root"}], "temperature": 9, "max_tokens": 0, "tools": [{}], "what": 1}
    with server.client() as client:
        error = client.post("/v1/chat/completions", json=wrong)
        assert error.status_code == 400 and error.json()["error"]["type"] == "invalid_request_error"
        for field in ("messages", "temperature", "max_tokens", "tools", "what"):
            assert field in error.json()["error"]["message"]
        other = client.post("/v1/chat/completions", json={"messages": CHAT, "model": "gpt-5"})
        assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
        assert client.post("/v1/embeddings", json={}).json()["error"]["message"].count("/v1/chat/completions")
        assert client.post("/v1/chat/completions", content=b"x" * (5 * 2**20)).status_code == 413
        assert client.post("/v1/chat/completions", content=b"[" * 100_000).status_code == 400
        half = client.post("/v1/chat/completions", content=b'{"messages":[{"role":"user","content":"\\ud800"}]}')
        assert half.status_code == 400 and "half a character" in half.json()["error"]["message"]
        long = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "light " * 30_000}]})
        assert long.status_code == 400 and "the model takes" in long.json()["error"]["message"]


@pytest.mark.slow
def test_who_has_no_key_or_no_token_or_comes_from_elsewhere_is_refused(server: Server) -> None:
    with server.client("x") as client:
        refused = client.get("/v1/models")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert client.post("/classify", json={}).status_code == 401
        assert client.get("/").status_code == 403
        assert client.get(server.page).status_code == 200  # with the token; the client keeps the cookie
        assert "data-chat" in client.get("/").text
        assert client.get("/v1/models").status_code == 401
        assert client.post("/ask", json={"messages": CHAT}).status_code == 403
    with server.client() as client:
        assert client.get("/v1/models").json()["data"][0]["id"] == "student"
        assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 400
        assert client.get("/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.slow
def test_the_page_s_chat_streams(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client:
        client.get(server.page)
        question = {"messages": CHAT, "max_tokens": 40, "temperature": 0, "model": "served", "prompt": ""}
        answer = client.post("/ask", json=question, headers={"origin": server.url})
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        assert json.loads(events[-1]["text"])["device"] == "light" and events[-1]["done"] == "stop"
        wrong = client.post("/ask", json={**question, "max_tokens": 0}, headers={"origin": server.url})
        assert wrong.status_code == 400 and "max_tokens" in wrong.text


@pytest.mark.slow
def test_the_page_in_a_browser_answers_without_errors_and_shows_what_was_asked_as_text(server: Server) -> None:
    with opened() as page:
        page.look_like()
        page.open(server.page)
        page.wait("!!document.querySelector('form[data-chat]')")
        assert page.accessibility() == []
        page.run("document.querySelector('[name=max_tokens]').value = 12")
        page.run("document.querySelector('[name=question]').value = 'turn on the <b>light</b>'")
        page.run("document.querySelector('form[data-chat]').requestSubmit()")
        page.wait("/tokens in/.test(document.querySelector('.status')?.textContent ?? '')")
        said = page.run("[...document.querySelectorAll('.said')].map(one => one.textContent)")
        assert said[0] == "turn on the <b>light</b>" and said[1]
        assert page.run("document.querySelector('.said b')") is None
        assert page.errors == []


@pytest.mark.slow
def test_an_answer_ends_when_whoever_asked_goes_and_the_next_one_is_answered(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    # hot and without a stop it would go on to the context's end
    body = json.dumps({"messages": CHAT, "temperature": 2, "max_tokens": 100_000, "stream": False}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {KEY}\r\n"
    for _ in range(3):
        with socket.create_connection((host, int(port))) as leaving:
            leaving.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.3)
    with server.client() as client:
        answer = client.post("/v1/chat/completions", json={"messages": CHAT, "max_tokens": 2, "temperature": 0})
    assert answer.json()["usage"]["completion_tokens"] == 2


def test_a_name_that_is_not_there_names_the_nearest_and_exits_2(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "studnet", "--store", str(store), "--no-browser"]) == 2
    assert "did you mean student" in capsys.readouterr().err
    assert main(["serve", "talk:stud", "--store", str(store), "--no-browser"]) == 2
    assert "talk:student" in capsys.readouterr().err


def test_what_is_no_model_and_a_short_key_are_refused(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["serve", "talk:rows", "--store", str(store), "--no-browser"]) == 2
    assert "no model" in capsys.readouterr().err
    monkeypatch.setenv("POTSTILL_SERVE_KEY", "short")
    assert main(["serve", "student", "--store", str(store), "--no-browser"]) == 2
    assert "at least 16" in capsys.readouterr().err


def test_a_missing_package_names_the_pip_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: Any, store: Path
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    assert main(["serve", "student", "--store", str(store)]) == 2
    assert 'pip install "potstill[ui]"' in capsys.readouterr().err


def test_ctrl_c_while_the_model_loads_ends_it(store: Path) -> None:
    words = ["serve", "student", "--store", str(store), "--port", "0", "--no-browser", "--runtime", "transformers"]
    command = [sys.executable, "-m", "potstill", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and "loading" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_nothing_of_the_server_is_imported_before_its_command() -> None:
    code = "import sys, potstill.cli; potstill.cli._parser(); print([n for n in sys.modules if n.split('.')[0] in "
    code += "('starlette', 'uvicorn', 'jinja2') or n.startswith(('potstill.serving', 'potstill.web'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
