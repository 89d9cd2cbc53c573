"""Requests on their way, and the servers that take them: how much room each has, and when it is tried again."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from potstill.teachers.openai.aimd_window import Window
from potstill.teachers.openai.budget import Budget
from potstill.teachers.openai.outcome import Outcome
from potstill.teachers.protocol import NOTHING, Usage

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first retry, and at most; each further one waits twice as long."""


@dataclass
class Job:
    """One request on its way."""

    index: int
    """Its number."""
    payload: Any
    """What is sent."""
    prompt: int = 0
    """Tokens that it may read at most."""
    completion: int = 0
    """Tokens that it may write at most."""
    tries: int = 0
    """How often it was sent in vain."""
    billed: Usage = NOTHING
    """What these tries were billed."""
    _answers: int = 0  # the lane's when it was last refused: a server that answers others is only busy


@dataclass
class Lane:
    """One server."""

    name: str
    """Its address."""
    send: Callable[[Any], Awaitable[Outcome]]
    """Sends one request; raises what ends the whole step."""
    window: Window
    """How many it takes at a time."""
    budget: Budget
    """What it may cost."""
    answers: int = 0
    """Answers so far."""
    failures: int = 0
    """Times it was closed since the last answer."""
    down: bool = False
    """Whether nobody listened there; then one request at a time tries."""
    paused_until: float = 0.0
    """Nothing is sent before: the server asked for it."""
    closed_until: float = 0.0
    """Nothing is sent before, unless the server answers: it failed."""

    @property
    def has_room(self) -> bool:
        """Whether it may be given one more."""
        return self.window.has_room and not (self.down and self.window.in_flight)

    def close(self, now: float) -> None:
        """Send nothing for a while; what was sent before and fails now, too, makes it no longer."""
        if self.opens <= now:
            self.failures += 1
            self.closed_until = now + pause_before(self.failures)

    @property
    def opens(self) -> float:
        """When something may be sent."""
        return max(self.paused_until, self.closed_until)


def pause_before(attempt: int) -> float:
    """Return the seconds before a further try: doubling, with jitter so that requests don't return all at once."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
