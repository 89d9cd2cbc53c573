"""Teachers behind an OpenAI-compatible server: bounded concurrency that adapts, retries with back-off, a budget."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Gt

from potstill import services
from potstill.errors import BadInput, Problem
from potstill.keys import digest
from potstill.teachers.bodies import PATHS, Body, Form, request_body
from potstill.teachers.budget import FREE, Account, Budget, Price
from potstill.teachers.dispatch import Dispatcher, Job, Lane
from potstill.teachers.event_loop import event_loop, wait_for
from potstill.teachers.protocol import Request, Response
from potstill.teachers.window import Window

if TYPE_CHECKING:
    from potstill.teachers.wire import Wire


@dataclass(frozen=True)
class Endpoint:
    """A teacher behind any OpenAI-compatible server.

    As many requests are in flight as the server takes: `concurrency` at first, half as many after a 429 or 503, one
    more after each round of answers (Chiu and Jain 1989).
    """

    base_url: str
    """Address up to and with the version, such as `http://127.0.0.1:8000/v1`."""
    model: str
    """The model's name on that server."""
    system: str = field(default="", kw_only=True)
    """System prompt put before every chat; a system message of the prompt template follows it."""
    api: Literal["chat", "completions"] = field(default="chat", kw_only=True)
    """`chat` lets the server's template render the chat; `completions` sends the messages' texts, a blank line between
    them, to be continued: for models without a chat template."""
    vllm: bool = field(default=False, kw_only=True)
    """Whether the server is vLLM, whose extensions give log-probabilities with token ids, and hold an answer to a
    regular expression or to choices."""
    api_key_env: str = field(default="OPENAI_API_KEY", kw_only=True)
    """Environment variable that holds the key; a server that wants none ignores it."""
    concurrency: Annotated[int, Ge(1)] = field(default=64, kw_only=True)
    """Most requests in flight at a time."""
    timeout: Annotated[float, Gt(0)] = field(default=300.0, kw_only=True)
    """Seconds that the server may stay silent; an answer comes whole, so this is what the longest one takes."""
    max_retries: Annotated[int, Ge(0)] = field(default=5, kw_only=True)
    """Times a request is sent again after 408, 409, 5xx, silence, a cut connection or an unreadable answer; after 429
    and 503 as long as the server answers others."""
    max_tokens_total: Annotated[int, Ge(1)] | None = field(default=None, kw_only=True)
    """Most tokens, read and written, that a run may use; None for any number. The run stops before it passes them."""
    max_cost: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)
    """Most dollars that a run may cost, by `price`; None for any sum."""
    price: Price | None = field(default=None, kw_only=True)
    """What tokens cost; with it, the manifest says what a step did cost."""

    heavy: ClassVar[bool] = False
    gives_scores: ClassVar[bool] = False
    unkeyed: ClassVar[frozenset[str]] = frozenset(
        {"vllm", "api_key_env", "concurrency", "timeout", "max_retries", "max_tokens_total", "max_cost", "price"}
    )

    @property
    def label(self) -> str:
        """Short name for reports."""
        return self.model

    @property
    def gives_top_k(self) -> bool:
        """Whether log-probabilities come with token ids."""
        return self.vllm

    @property
    def gives_forms(self) -> frozenset[str]:
        """Fields of `Structured` that an answer can be held to."""
        if self.vllm:
            return frozenset({"json_schema", "regex", "choice"})
        return frozenset({"json_schema"} if self.api == "chat" else ())

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: address, model name, system prompt and way of asking, never the key."""
        return {"base_url": self.base_url.rstrip("/"), **self.asked()}

    def asked(self) -> dict[str, Any]:
        """Return what the responses depend on besides the address."""
        api = {} if self.api == "chat" else {"api": self.api}
        return {"model": self.model, "system": self.system, **api}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the address or the budget."""
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield Problem("", "teacher", f"base_url {self.base_url!r} is no http or https address")
        if parts.username or parts.password:
            yield Problem("", "teacher", f"base_url holds a password: put it into the variable {self.api_key_env}")
        if self.max_cost is not None and self.price is None:
            text = f"max_cost={self.max_cost:g} needs price=Price(prompt=..., completion=...), dollars a million tokens"
            yield Problem("", "teacher", text)
        if self.api not in PATHS:
            yield Problem("", "teacher", f"api must be {' or '.join(PATHS)}, got {self.api!r}")
        for name, least in (("concurrency", 1), ("max_tokens_total", 1), ("max_retries", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                yield Problem("", "teacher", f"{name} must be at least {least}, got {value}")
        if self.timeout <= 0:
            yield Problem("", "teacher", f"timeout must be more than 0 s, got {self.timeout:g}")

    @contextmanager
    def open(self, *, threads: int) -> Iterator[EndpointSession]:
        """Keep connections open for the session; the server is first spoken to by the first request."""
        del threads  # requests only wait
        with event_loop() as loop:
            wire = self.wire()
            try:
                yield EndpointSession(self.form(), Dispatcher([self.lane(wire)], self.max_retries, loop))
            finally:
                wait_for(loop, wire.close())

    def wire(self) -> Wire:
        """Return the connections to the server.

        Raises:
            BadInput: the key can't be one.
        """
        from potstill.teachers.wire import connect

        key = os.environ.get(self.api_key_env, "").strip()
        where = f"the variable {self.api_key_env}"
        if not (key.isascii() and key.isprintable()):
            raise BadInput(f"the key in {where} holds characters that no key has, such as a line break: set it anew")
        address = self.base_url.rstrip("/")
        return connect(address, self.model, key, where, timeout=self.timeout, connections=self.concurrency)

    def form(self) -> Form:
        """Return how requests are written for this server."""
        return Form(self.model, self.system, self.api, self.vllm, self.base_url)

    def lane(self, wire: Wire) -> Lane:
        """Return the server as one that requests are sent to."""
        price = self.price or FREE

        async def send(body: Body) -> Any:
            return await wire.ask(body.path, body.fields, lambda answer: body.read(answer, price))

        budget = Budget(self.max_tokens_total, self.max_cost, price, self._account())
        return Lane(self.base_url, send, Window(self.concurrency), budget)

    def _account(self) -> Account:
        """Return where what is spent is counted: by the steps of a run together."""
        access = services.current()
        limited = self.max_tokens_total is not None or self.max_cost is not None
        if access is None or not limited:
            return Account()
        return Account(access.folder / f"spent-{digest(self.identity())}.{access.run}.budget")


@dataclass
class EndpointSession:
    """Connections to one server, or to several replicas of it."""

    form: Form
    """How requests are written."""
    dispatcher: Dispatcher
    """Sends them."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses arrive.

        Raises:
            BadInput: the server refuses the key, the address or the model's name, can't be reached, or can't do what is
                asked.
            BudgetSpent: the next answer might pass the budget.
        """
        return self.dispatcher.run(self._jobs(requests))

    def _jobs(self, requests: Iterable[Request]) -> Iterator[Job | tuple[int, Response]]:
        """Write the requests."""
        for index, request in enumerate(requests):
            body = request_body(self.form, request)
            yield Job(index, body, body.most_read(), request.sampling.max_tokens)
