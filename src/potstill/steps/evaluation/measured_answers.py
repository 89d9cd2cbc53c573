"""What measuring a model gave: its answers, and how fast they came; kept in the store's journal.

Scoring again, with other measures or corrected right answers, then asks no model again. What is kept is a measurement
as a whole: the model, the prompts, the decoding, the protocol of the timing, and the machine are its key.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from potstill.engine.encoding import digest
from potstill.teachers.response_codec import pack, storable, unpack

if TYPE_CHECKING:
    from potstill.engine.store.journal import Journal
    from potstill.teachers.protocol import Request, Response, Teacher

NAMESPACE = "evaluations"
"""Where the store's journal keeps measurements."""
GROUP = 1_000
"""Responses that are written together."""


@dataclass(frozen=True)
class Timing:
    """How fast and how large a model was when it was measured."""

    latencies: list[float]
    """Seconds to the first token of single requests."""
    seconds: float
    """What all answers took."""
    memory: int | None
    """Peak memory in bytes, if it can be seen."""
    runtime: str
    """What answered, if it has a name of its own."""
    serves: bool
    """Whether the speed says how fast the model is served."""


@dataclass(frozen=True)
class MeasuredAnswers:
    """One measurement."""

    responses: list[Response]
    """One a request, in their order."""
    timing: Timing


def measurement_key(teacher: Teacher, requests: Sequence[Request], protocol: Mapping[str, Any]) -> str:
    """Return the key of a measurement; `protocol` says how the timing is done.

    Speeds belong to a machine, so its name is in the key: in a store that several share, each measures for itself.
    """
    asked = [[request.messages, asdict(request.sampling)] for request in requests]
    who = [type(teacher).__name__, teacher.identity()]
    return digest(["evaluation", 1, who, asked, dict(protocol), platform.node(), platform.machine()])


def kept(journal: Journal, key: str, count: int) -> MeasuredAnswers | None:
    """Return the measurement of `count` requests, if all of it is there."""
    own = journal.scoped(NAMESPACE)
    head = own.get(key)
    if head is None:
        return None
    names = [_place(key, number) for number in range(count)]
    entries = own.get_many(names)
    if len(entries) < count:
        return None
    return MeasuredAnswers([unpack(entries[name]) for name in names], Timing(**head))


def keep(journal: Journal, key: str, measured: MeasuredAnswers) -> None:
    """Keep a measurement; one with a failed request is none, so that the next run asks again."""
    if any(response.finish_reason == "error" for response in measured.responses):
        return
    own = journal.scoped(NAMESPACE)
    for group in _groups(key, measured.responses):
        own.put_many(group)
    own.put_many({key: asdict(measured.timing)})  # last: where it is, the rest is


def _groups(key: str, responses: Sequence[Response]) -> Iterator[dict[str, Any]]:
    """Yield journal entries, some at a time."""
    entries = ((_place(key, number), pack(storable(one))) for number, one in enumerate(responses))
    while group := dict(islice(entries, GROUP)):
        yield group


def _place(key: str, number: int) -> str:
    return f"{key}/{number}"
