"""How one request went: an answer, trouble that may pass, or a refusal; and what it was billed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from potstill.teachers.protocol import NOTHING, Response, Usage

EVERYONES = 10
"""Equal refusals, with no answer between them, after which nobody will be answered."""
EVERYONES_BY_MODERATION = 50
"""The same where the server objects to what the texts say: a stretch of such rows is nothing unusual."""
OVERFLOW = re.compile(r"context.{0,10}length|context.{0,10}window|too (long|many tokens)|maximum.{0,20}tokens", re.I)
"""What servers call a prompt that is too long."""
TOO_LARGE = re.compile(r"max(_completion|_output)?_tokens\W.{0,60}too large", re.I)
"""What servers call an answer that may be longer than the model allows, whatever the prompt is."""
MODERATION = re.compile(
    r"moderat|flagged|content.?(policy|filter|management)|safety|harm|violat|inappropriate|(our|usage|use) polic", re.I
)
"""What servers say of a text that they will not read."""
_DETAILS = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|\b[0-9a-f-]{8,}\b|\d+", re.I)
"""What differs between equal refusals: quoted texts, numbers, names of requests."""


@dataclass(frozen=True)
class Trouble:
    """A try that failed in a way that may pass."""

    problem: str
    """What happened."""
    pause: float | None = None
    """Seconds that the server asks to wait."""
    limited: bool = False
    """Whether the server has too much to do."""
    down: bool = False
    """Whether nobody listens there."""


@dataclass(frozen=True)
class Refusal:
    """A request that the server will never answer."""

    status: int
    """The HTTP status."""
    said: str
    """What the server said."""
    code: str = ""
    """The server's code for it."""
    parameter: str = ""
    """The field of the request that the server names."""
    hint: str = ""
    """What to do should all rows be refused."""

    @property
    def overflow(self) -> bool:
        """Whether the prompt is too long."""
        about_length = self.status in (400, 413, 422) and OVERFLOW.search(self.said) is not None
        return self.code == "context_length_exceeded" or about_length

    @property
    def limit(self) -> int | None:
        """How many equal ones are everyone's; None where each row is refused for itself, however many there are."""
        if self.overflow and not TOO_LARGE.search(self.said):
            return None
        return EVERYONES_BY_MODERATION if MODERATION.search(f"{self.code} {self.said}") else EVERYONES

    @property
    def kind(self) -> tuple[int, str, str]:
        """What equal refusals have in common."""
        return self.status, self.code, _DETAILS.sub("", self.said)[:80]

    def response(self) -> Response:
        """Return the error of the row."""
        what = "context overflow: " if self.overflow else ""
        return Response(f"{what}{self.status}: {self.said}", "error", retryable=False)


@dataclass
class Refusals:
    """Counts a server's refusals: one is its row's, many equal ones in a row are everyone's."""

    _kind: tuple[int, str, str] | None = None
    _count: int = field(default=0)

    def answered(self) -> None:
        """Note an answer: the server does answer requests of this form."""
        self._kind, self._count = None, 0

    def are_everyones(self, refusal: Refusal) -> bool:
        """Count a refusal; return whether it can be taken for that of every row."""
        if refusal.kind != self._kind:
            self._kind, self._count = refusal.kind, 0
        self._count += 1
        return refusal.limit is not None and self._count >= refusal.limit


@dataclass(frozen=True)
class Outcome:
    """How one request went."""

    result: Response | Trouble | Refusal
    """What came of it."""
    usage: Usage | None = NOTHING
    """What was billed; None where that can't be known: then the most that the request may cost is counted."""
