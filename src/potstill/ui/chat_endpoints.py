"""Which addresses the chat may ask, and answers that stream from them.

A store may come from elsewhere, and names addresses and the variables of keys. So nothing is sent but to servers that
the user names, with the key that the user names for each, and to servers on this machine, without any key.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.teachers.openai.address import Address
from potstill.teachers.protocol import Request, Response, Session

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from potstill.teachers.openai.client import Wire
    from potstill.teachers.openai.endpoint import Endpoint

SETTINGS = ("system", "api", "vllm", "max_tokens_as", "without", "system_role", "extra_body")
"""Of an endpoint's settings in a store, those that are followed: none that says where anything goes, or which key."""
LONGEST = 2**24
"""Most bytes of one answer."""


@dataclass(frozen=True)
class Allowed:
    """A server that the user lets the chat ask."""

    address: Address
    """Where it is."""
    key_variable: str = ""
    """Environment variable whose key it gets; empty sends none."""


def allowed_of(texts: Sequence[str]) -> tuple[Allowed, ...]:
    """Return the servers in `URL` or `URL,VARIABLE`, as the command line takes them.

    Raises:
        BadInput: one is no address.
    """
    pairs = [text.partition(",") for text in texts]
    servers = tuple(Allowed(Address(url.strip()), variable.strip()) for url, _, variable in pairs)
    problems = [
        f"--endpoint {one.address.text.partition('?')[0]!r}: {problem}"
        for one in servers
        for problem in one.address.problems(one.key_variable or "OPENAI_API_KEY")
    ]
    if problems:
        raise BadInput(*problems)
    return servers


def key_variable_for(base_url: str, allowed: Sequence[Allowed]) -> str | None:
    """Return the variable of the key that a store's address gets, empty for none; `None` where it is not asked.

    >>> key_variable_for("https://elsewhere.org/v1", ()), key_variable_for("http://127.0.0.1:8000/v1", ())
    (None, '')
    """
    address = Address(base_url)
    if any(address.problems("")):
        return None
    named = next((one for one in allowed if one.address.origin == address.origin), None)
    if named is not None:
        return named.key_variable
    return "" if address.is_loopback else None


class StreamedEndpoint:
    """An `Endpoint` whose session also streams."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Take the endpoint."""
        self.endpoint = endpoint
        self.label = endpoint.label

    def identity(self) -> dict[str, Any]:
        """Return what the endpoint's answers depend on."""
        return self.endpoint.identity()

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Session]:
        """Keep connections open for the session."""
        from potstill.teachers.openai.event_loop import event_loop, wait_for

        with self.endpoint.open(threads=threads) as whole, event_loop() as loop:
            wire = self.endpoint.wire()
            try:
                yield StreamedSession(self.endpoint, whole, wire, loop)
            finally:
                wait_for(loop, wire.close())


@dataclass
class StreamedSession:
    """Connections to one server."""

    endpoint: Endpoint
    """How requests are written."""
    whole: Session
    """Asks for answers in one piece."""
    wire: Wire
    """Connections of answers that stream."""
    loop: AbstractEventLoop
    """Where these are read."""

    def generate(self, requests: Any) -> Iterator[tuple[int, Response]]:
        """Yield answers in one piece."""
        return self.whole.generate(requests)

    def stream(self, request: Request, show: Callable[[str], None]) -> Response:
        """Return the answer, calling `show` with the text so far.

        Of a server that refuses to stream, it is asked for in one piece, which also learns in what form it takes
        requests, and says what is wrong.
        """
        from potstill.teachers.openai.event_loop import wait_for

        answer: Response | None = wait_for(self.loop, self._streamed(request, show))
        return answer or next(response for _, response in self.generate([request]))

    async def _streamed(self, request: Request, show: Callable[[str], None]) -> Response | None:
        """Return the streamed answer; `None` of a server that does not stream."""
        from potstill.teachers.openai.connection import JSON
        from potstill.teachers.openai.fitting import Fit
        from potstill.teachers.openai.payloads import request_body

        teacher, connection = self.endpoint, self.wire.connection
        body = request_body(teacher.form(), request)
        fit = Fit(teacher.max_tokens_as, frozenset(teacher.without), teacher.system_role, teacher.extra_body)
        content = json.dumps({**fit.fitted(body.fields), "stream": True}).encode()
        headers = {**JSON, **connection.headers, "Accept": "text/event-stream", "Content-Type": "application/json"}
        url = connection.address.url(body.path)
        # redirects are not followed, and so count as a refusal here
        async with connection.http.stream("POST", url, content=content, headers=headers) as reply:
            streams = reply.headers.get("content-type", "").startswith("text/event-stream")
            if reply.status_code != 200 or not streams:
                return None
            text, end = "", "stop"
            async for event in _events(reply.aiter_lines()):
                piece, ended = _piece(event)
                end = ended or end
                if piece:
                    text += piece
                    show(self.wire.secrets.masked(text))
                if len(text) > LONGEST:
                    raise PotstillError(f"the answer is longer than {LONGEST // 2**20} MiB")
        return Response(self.wire.secrets.masked(text), "length" if end == "length" else "stop")


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the JSON objects of a stream of events, up to `[DONE]` (HTML standard, section 9.2.6)."""
    async for line in lines:
        name, _, data = line.partition(":")
        if name != "data" or not data.strip():
            continue  # a comment, by which a server keeps the connection, or another field
        if data.strip() == "[DONE]":
            return
        value = json.loads(data)
        if isinstance(value, Mapping):
            yield value


def _piece(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text that an event adds, of a chat or a completion, and why the answer ended, if it did.

    Raises:
        PotstillError: the server says that something failed.
    """
    if event.get("error"):
        raise PotstillError(f"the server failed while it answered: {str(event['error'])[:400]}")
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, Mapping) else choice.get("text")
    end = choice.get("finish_reason")
    return text if isinstance(text, str) else "", end if isinstance(end, str) else ""
