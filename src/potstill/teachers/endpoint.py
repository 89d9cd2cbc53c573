"""Teachers behind an OpenAI-compatible server: bounded concurrency, time limits, retries with back-off."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from annotated_types import Ge, Gt

from potstill.errors import BadInput, Problem
from potstill.teachers.protocol import Request, Response, with_system

if TYPE_CHECKING:
    import httpx

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first retry, and at most; each further one waits twice as long."""
REFUSED = (401, 403, 404)
"""Answers that mean the key, the address or the model's name is wrong, for every row alike."""


@dataclass(frozen=True)
class Endpoint:
    """A teacher behind any OpenAI-compatible `/chat/completions`."""

    base_url: str
    """Address up to and with the version, such as `http://127.0.0.1:8000/v1`."""
    model: str
    """The model's name on that server."""
    system: str = field(default="", kw_only=True)
    """System prompt put before every chat; a system message of the prompt template follows it."""
    api_key_env: str = field(default="OPENAI_API_KEY", kw_only=True)
    """Environment variable that holds the key; a server that wants none ignores it."""
    concurrency: Annotated[int, Ge(1)] = field(default=16, kw_only=True)
    """Requests in flight at a time."""
    timeout: Annotated[float, Gt(0)] = field(default=60.0, kw_only=True)
    """Seconds that the server may stay silent."""
    max_retries: Annotated[int, Ge(0)] = field(default=5, kw_only=True)
    """Times a request is sent again after 408, 409, 429, 5xx, silence, a cut connection or an unreadable answer."""

    heavy: ClassVar[bool] = False
    gives_top_k: ClassVar[bool] = False
    unkeyed: ClassVar[frozenset[str]] = frozenset({"api_key_env", "concurrency", "timeout", "max_retries"})

    @property
    def label(self) -> str:
        """Short name for reports."""
        return self.model

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: address, model name and system prompt, never the key."""
        return {"base_url": self.base_url.rstrip("/"), "model": self.model, "system": self.system}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the address."""
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield Problem("", "teacher", f"base_url {self.base_url!r} is no http or https address")
        if parts.username or parts.password:
            yield Problem("", "teacher", f"base_url holds a password: put it into the variable {self.api_key_env}")

    @contextmanager
    def open(self, *, threads: int) -> Iterator[EndpointSession]:
        """Keep connections open for the session; the server is first spoken to by the first request."""
        import httpx

        del threads  # requests only wait
        key = os.environ.get(self.api_key_env, "")
        limits = httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(headers=headers, timeout=self.timeout, limits=limits) as client:
            yield EndpointSession(self, client, key)


@dataclass
class EndpointSession:
    """Connections to the server."""

    endpoint: Endpoint
    """Where to."""
    client: httpx.Client
    """The connections."""
    key: str = field(repr=False)
    """The key, kept to take it out of messages."""
    _closing: threading.Event = field(default_factory=threading.Event)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses arrive.

        Raises:
            BadInput: the server refuses the key, the address or the model's name; or log-probabilities were asked.
        """
        source = enumerate(requests)
        running: dict[Future[Response], int] = {}
        self._closing.clear()
        pool = ThreadPoolExecutor(self.endpoint.concurrency, thread_name_prefix="potstill-endpoint")
        try:
            while True:
                for index, request in itertools.islice(source, self.endpoint.concurrency - len(running)):
                    running[pool.submit(self._ask, request)] = index
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()
        finally:
            self._closing.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, request: Request) -> Response:
        """Send one request until it is answered or its retries are used up."""
        payload = self._payload(request)
        problem = ""
        for attempt in range(self.endpoint.max_retries + 1):
            answer, problem, pause = self._send(payload)
            if answer is not None:
                return answer
            if attempt == self.endpoint.max_retries or self._closing.wait(pause or _pause(attempt)):
                break
        return Response(f"no answer after {attempt + 1} attempts: {problem}", "error")

    def _payload(self, request: Request) -> dict[str, Any]:
        """Return the body of the request."""
        sampling = request.sampling
        if sampling.top_k:
            raise BadInput(
                f"{self.endpoint.base_url} gives log-probabilities without token ids, so top_k={sampling.top_k} "
                "can't be had from it: take VLLM, or top_k=0"
            )
        payload: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": with_system(self.endpoint.system, request.messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        if sampling.stop:
            payload["stop"] = list(sampling.stop)
        if sampling.temperature > 0:
            payload["seed"] = request.seed
        return payload

    def _send(self, payload: dict[str, Any]) -> tuple[Response | None, str, float]:
        """Send once: the answer, or what went wrong and how long the server asks to wait (0 if it doesn't say)."""
        import httpx

        try:
            reply = self.client.post(f"{self.endpoint.base_url.rstrip('/')}/chat/completions", json=payload)
        except httpx.RequestError as error:
            return None, f"{type(error).__name__}: {error}", 0.0
        status = reply.status_code
        if status in REFUSED:
            raise BadInput(
                f"{self.endpoint.base_url} refuses the model {self.endpoint.model!r} with {status}: "
                f"{self._said(reply)}; check address, name, and the key in the variable {self.endpoint.api_key_env}"
            )
        if status in (408, 409, 429) or status >= 500:
            return None, f"{status}: {self._said(reply)}", _asked_pause(reply)
        if status != 200:
            return Response(f"{status}: {self._said(reply)}", "error", retryable=False), "", 0.0
        try:
            return _read(reply.json()), "", 0.0
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            return None, f"unreadable answer ({type(error).__name__}): {self._said(reply)}", 0.0

    def _said(self, reply: httpx.Response) -> str:
        """Return the beginning of what the server said, without the key."""
        text = reply.text[:300].strip()
        return text.replace(self.key, "***") if self.key else text


def _read(body: Any) -> Response:
    """Read an answer; anything missing raises, and the request is sent again."""
    choice, usage = body["choices"][0], body.get("usage") or {}
    counts = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    finish, text = choice["finish_reason"], choice["message"]["content"]
    if finish not in ("stop", "length"):
        return Response(f"the server ended the answer with {finish!r}", "error", *counts, retryable=False)
    if not isinstance(text, str):
        raise TypeError("the content is no text")
    return Response(text, finish, *counts)


def _pause(attempt: int) -> float:
    """Return the seconds before the next attempt: doubling, with jitter so that rows don't return all at once."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt) * random.uniform(0.5, 1.0)


def _asked_pause(reply: httpx.Response) -> float:
    """Return the seconds that the server asks to wait, within `LONGEST_WAIT`."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(reply.headers.get("retry-after", 0))))
    except ValueError:
        return 0.0
