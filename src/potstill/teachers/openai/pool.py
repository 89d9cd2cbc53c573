"""Several servers of the same model as one teacher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from potstill.errors import Problem
from potstill.teachers.openai.budget import Price
from potstill.teachers.openai.dispatch import Dispatcher
from potstill.teachers.openai.endpoint import Endpoint, EndpointSession
from potstill.teachers.openai.event_loop import event_loop, wait_for


@dataclass(frozen=True)
class Pool:
    """Replicas of one model: each request goes to the server with the least to do for what it takes.

    A server that is down is left out while others answer. All must serve the same model; different ones are an
    ensemble. The identity is that of the first endpoint, its address or `served_as` included: more or fewer replicas
    ask nothing again, and a pool that begins with another server, which may serve another model by the same name, is
    another teacher.
    """

    endpoints: Sequence[Endpoint]
    """The servers; each has its own concurrency and budget."""

    heavy: ClassVar[bool] = False
    gives_scores: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Short name for reports."""
        return self.endpoints[0].label

    @property
    def gives_top_k(self) -> bool:
        """Whether log-probabilities come with token ids."""
        return all(endpoint.gives_top_k for endpoint in self.endpoints)

    @property
    def gives_forms(self) -> frozenset[str]:
        """Fields of `Structured` that an answer can be held to."""
        return frozenset.intersection(*(endpoint.gives_forms for endpoint in self.endpoints))

    @property
    def price(self) -> Price | None:
        """What tokens cost at the dearest of the servers, as a plan can't know which will answer."""
        prices = [endpoint.price for endpoint in self.endpoints if endpoint.price is not None]
        if not prices:
            return None
        return Price(prompt=max(price.prompt for price in prices), completion=max(price.completion for price in prices))

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: the first server, model name, system prompt and way of asking."""
        return {"replicas_of": self.endpoints[0].identity() if self.endpoints else None}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the servers, each and together."""
        if not self.endpoints:
            yield Problem("", "teacher", "the pool has no endpoints: give at least one")
            return
        for endpoint in self.endpoints:
            yield from endpoint.check()
        for name in ("model", "system", "api", "vllm", "without", "system_role", "extra_body", "served_as"):
            values = [getattr(endpoint, name) for endpoint in self.endpoints]
            if any(value != values[0] for value in values):
                each_value = ", ".join(f"{each.base_url}: {getattr(each, name)!r}" for each in self.endpoints)
                text = f"the endpoints of a pool must have the same {name}, got {each_value}"
                yield Problem("", "teacher", f"{text}; take Ensemble for different teachers")

    @contextmanager
    def open(self, *, threads: int) -> Iterator[EndpointSession]:
        """Keep connections to all servers open for the session."""
        del threads  # requests only wait
        with event_loop() as loop:
            wires = [endpoint.wire() for endpoint in self.endpoints]
            lanes = [endpoint.lane(wire) for endpoint, wire in zip(self.endpoints, wires, strict=True)]
            retries = max(endpoint.max_retries for endpoint in self.endpoints)
            try:
                yield EndpointSession(self.endpoints[0].form(), Dispatcher(lanes, retries, loop))
            finally:
                for wire in wires:
                    wait_for(loop, wire.close())
