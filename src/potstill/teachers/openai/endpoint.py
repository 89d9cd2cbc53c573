"""Teachers behind an OpenAI-compatible server: bounded concurrency that adapts, retries with back-off, a budget."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Ge, Gt

from potstill.engine.encoding import digest
from potstill.engine.running import services
from potstill.errors import BadInput, Problem
from potstill.teachers.openai.account import Account
from potstill.teachers.openai.address import SECRET_NAME, Address
from potstill.teachers.openai.aimd_window import Window
from potstill.teachers.openai.budget import FREE, Budget, Price
from potstill.teachers.openai.client import Secrets, Wire
from potstill.teachers.openai.dispatch import Dispatcher
from potstill.teachers.openai.event_loop import event_loop, wait_for
from potstill.teachers.openai.fitting import Fit, SystemRole
from potstill.teachers.openai.lanes import Job, Lane
from potstill.teachers.openai.payloads import PATHS, Form, request_body
from potstill.teachers.openai.sending import Sender
from potstill.teachers.protocol import Request, Response

OURS = frozenset({"model", "messages", "prompt", "stream", "n"})
"""Fields of a request that no setting may touch."""


@dataclass(frozen=True)
class Endpoint:
    """A teacher behind any OpenAI-compatible server.

    As many requests are in flight as the server takes: `concurrency` at first, half as many after a 429 or 503, one
    more after each round of answers (Chiu and Jain 1989).
    """

    base_url: str
    """Address up to and with the version, such as `http://127.0.0.1:8000/v1`; a query (`?api-version=...`, as Azure's
    deployments want it) stays behind the path. No proxy is used for a server on this machine."""
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
    served_as: str = field(default="", kw_only=True)
    """A name that stands for the address in keys: under the same name a server that has moved is asked nothing again.
    The address that it had before is such a name. Empty takes the address."""
    max_tokens_as: str = field(default="max_tokens", kw_only=True)
    """What the server calls the longest answer, such as `max_completion_tokens`."""
    without: tuple[str, ...] = field(default=(), kw_only=True)
    """Fields that are left out of every request, such as `seed` or `temperature`; the server's own value then holds."""
    system_role: SystemRole = field(default="system", kw_only=True)
    """Who says the system prompt: `system`, `developer`, or `user`, which puts it before the user's first message."""
    extra_body: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    """Fields added to every request, such as `{"chat_template_kwargs": {"enable_thinking": False}}`."""
    extra_headers: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False, hash=False)
    """Headers added to every request. One whose name says that it holds a key is no part of any key or file."""
    api_key_env: str = field(default="OPENAI_API_KEY", kw_only=True)
    """Environment variable that holds the key; a server that wants none ignores it. Empty sends none."""
    api_key_header: str = field(default="", kw_only=True)
    """Header that the key is sent in; empty is `Authorization: Bearer`, and `api-key` for an address with
    `?api-version=`."""
    insecure: bool = field(default=False, kw_only=True)
    """Whether the key may be sent over plain http to another machine, where those on the way can read it."""
    redirect_hosts: tuple[str, ...] = field(default=(), kw_only=True)
    """Other hosts to which the server may redirect a request; they get the prompts, over https, and no key."""
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
        """
        vllm max_tokens_as api_key_env api_key_header insecure redirect_hosts concurrency timeout max_retries
        max_tokens_total max_cost price
    """.split()
    )

    @property
    def label(self) -> str:
        """Short name for reports."""
        return self.model

    @property
    def address(self) -> Address:
        """Where the server is."""
        return Address(self.base_url)

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
        """Return what the responses depend on: address, model name, system prompt and way of asking, never a key."""
        name = Address(self.served_as).name if "://" in self.served_as else self.served_as
        return {"base_url": name or self.address.name, **self.asked()}

    def asked(self) -> dict[str, Any]:
        """Return what the responses depend on besides the address; what is not there is as it is by default."""
        shown = {name: value for name, value in self.extra_headers.items() if not SECRET_NAME.search(name)}
        chosen = {
            "api": "" if self.api == "chat" else self.api,
            "without": sorted(set(self.without)),
            "system_role": "" if self.system_role == "system" else self.system_role,
            "extra_body": dict(self.extra_body),
            "extra_headers": dict(sorted(shown.items())),
        }
        return {"model": self.model, "system": self.system, **{name: value for name, value in chosen.items() if value}}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the address, the request or the budget."""
        texts = [*self.address.problems(self.api_key_env), *self._request_problems()]
        if self.max_cost is not None and self.price is None:
            texts.append(
                f"max_cost={self.max_cost:g} needs price=Price(prompt=..., completion=...), dollars a million tokens"
            )
        for name, least in (("concurrency", 1), ("max_tokens_total", 1), ("max_retries", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                texts.append(f"{name} must be at least {least}, got {value}")
        if self.timeout <= 0:
            texts.append(f"timeout must be more than 0 s, got {self.timeout:g}")
        return [Problem("", "teacher", text) for text in texts]

    def _request_problems(self) -> Iterator[str]:
        """Yield what is wrong with how requests are to be written."""
        if self.api not in PATHS:
            yield f"api must be {' or '.join(PATHS)}, got {self.api!r}"
        if self.system_role not in get_args(SystemRole):
            yield f"system_role must be {', '.join(get_args(SystemRole))}, got {self.system_role!r}"
        if isinstance(self.without, str):
            yield f"without must be a tuple of names, got {self.without!r}: write ({self.without!r},)"
        for name in sorted(OURS & {*self.extra_body, *self.without}):
            yield f"{name!r} is what Potstill itself writes into a request: leave it out of extra_body and without"
        try:
            json.dumps(dict(self.extra_body), allow_nan=False)
        except (TypeError, ValueError) as error:
            yield f"extra_body can't be sent as JSON: {error}"
        for name, value in self.extra_headers.items():
            if not (isinstance(value, str) and f"{name}{value}".isascii() and f"{name}{value}".isprintable()):
                yield f"the header {name!r} of extra_headers must be printable ASCII text"

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
        from potstill.teachers.openai.client import Wire
        from potstill.teachers.openai.connection import connect

        key = os.environ.get(self.api_key_env, "").strip()
        where = f"the variable {self.api_key_env}" if self.api_key_env else "api_key_env, which names no variable"
        if not (key.isascii() and key.isprintable()):
            raise BadInput(f"the key in {where} holds characters that no key has, such as a line break: set it again")
        sent = self.address.is_private or self.insecure
        hidden = (value for name, value in self.extra_headers.items() if SECRET_NAME.search(name))
        connection = connect(
            self.address,
            {**self._key_headers(key if sent else ""), **self.extra_headers},
            timeout=self.timeout,
            connections=self.concurrency,
            trusted_hosts=self.redirect_hosts,
        )
        secrets = Secrets((key, *hidden), where, sent)
        return Wire(connection, self.model, secrets, self.timeout, self.price or FREE)

    def _key_headers(self, key: str) -> dict[str, str]:
        """Return the headers that hold the key, and for OpenAI itself who pays."""
        payers = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
        headers = {
            header: os.environ[name] for header, name in payers.items() if self.address.is_openai and name in os.environ
        }
        header = self.api_key_header or ("api-key" if self.address.is_azure else "Authorization")
        if key:
            headers[header] = f"Bearer {key}" if header.lower() == "authorization" else key
        return headers

    def form(self) -> Form:
        """Return how requests are written for this server."""
        return Form(self.model, self.system, self.api, self.vllm, self.address.name)

    def lane(self, wire: Wire) -> Lane:
        """Return the server as one that requests are sent to."""
        fit = Fit(self.max_tokens_as, frozenset(self.without), self.system_role, self.extra_body)
        budget = Budget(self.max_tokens_total, self.max_cost, self.price or FREE, self._account())
        return Lane(self.address.name, Sender(wire, fit).send, Window(self.concurrency), budget)

    def _account(self) -> Account:
        """Return where what is spent is counted: by the steps of a run together."""
        access = services.current()
        limited = self.max_tokens_total is not None or self.max_cost is not None
        if access is None or not limited:
            return Account()
        # `served_as` may give two addresses one identity, and each has a bill of its own
        whose = digest({"address": self.address.name, **self.identity()})
        return Account(access.folder / f"spent-{whose}.{access.run}.budget")


@dataclass
class EndpointSession:
    """Connections to one server, or to several replicas of it."""

    form: Form
    """How requests are written."""
    dispatcher: Dispatcher
    """Sends them."""

    @property
    def note(self) -> str:
        """What slows the requests down."""
        return self.dispatcher.note

    @property
    def refusals(self) -> int:
        """How often the servers had too much to do."""
        return self.dispatcher.refusals

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
            try:
                body = request_body(self.form, request)
            except (TypeError, ValueError, KeyError) as error:  # of this row alone, such as a schema that is no JSON
                yield index, Response(f"the request can't be written: {error}", "error", retryable=False)
                continue
            yield Job(index, body, body.most_read(), request.sampling.max_tokens)
