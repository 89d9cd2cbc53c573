"""What a teacher behind an endpoint may cost in one run: counted as answers arrive, and never passed."""

from __future__ import annotations

import fcntl
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from potstill.errors import PotstillError
from potstill.teachers.protocol import Response

MILLION = 1e6


class BudgetSpent(PotstillError):
    """The budget of a run is used up; everything that was answered is kept."""


@dataclass(frozen=True)
class Price:
    """What tokens cost."""

    prompt: Annotated[float, Ge(0)] = field(kw_only=True)
    """Dollars for a million tokens read."""
    completion: Annotated[float, Ge(0)] = field(kw_only=True)
    """Dollars for a million tokens written."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the dollars for one request."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / MILLION


FREE = Price(prompt=0.0, completion=0.0)
"""The price of a server of one's own."""


@dataclass
class Account:
    """Tokens and dollars spent so far; with a file, by all steps of a run together, whatever process they are in."""

    path: Path | None = None
    """The file, locked while it is read and written."""
    _spent: tuple[int, float] = (0, 0.0)

    def spent(self) -> tuple[int, float]:
        """Return (tokens, dollars)."""
        return self.add(0, 0.0)

    def add(self, tokens: int, dollars: float) -> tuple[int, float]:
        """Add to what was spent; return the sum."""
        if self.path is None:
            self._spent = (self._spent[0] + tokens, self._spent[1] + dollars)
            return self._spent
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            held = file.read()
            before = struct.unpack("<qd", held) if held else (0, 0.0)
            after = (before[0] + tokens, before[1] + dollars)
            file.truncate(0)
            file.write(struct.pack("<qd", *after))
        return after


@dataclass
class Budget:
    """Lets a request go only if the longest answer to it still fits, so that the limits are never passed."""

    max_tokens: int | None
    """Most tokens, read and written."""
    max_cost: float | None
    """Most dollars."""
    price: Price
    """What a token costs."""
    account: Account
    """What was spent."""
    _held: tuple[int, float] = (0, 0.0)

    def hold(self, prompt: int, completion: int) -> bool:
        """Set aside what a request may cost at most, if there is as much; a budget without limits always has it."""
        if self.max_tokens is None and self.max_cost is None:
            return True
        tokens, dollars = self.account.spent()
        held = (self._held[0] + prompt + completion, self._held[1] + self.price.of(prompt, completion))
        if self.max_tokens is not None and tokens + held[0] > self.max_tokens:
            return False
        if self.max_cost is not None and dollars + held[1] > self.max_cost:
            return False
        self._held = held
        return True

    def settle(self, prompt: int, completion: int, response: Response | None) -> None:
        """Give back what was set aside, and count what the `response`, if there is one, did cost."""
        if self.max_tokens is None and self.max_cost is None:
            return
        self._held = (self._held[0] - prompt - completion, self._held[1] - self.price.of(prompt, completion))
        if response is not None:
            self.account.add(response.prompt_tokens + response.completion_tokens, response.cost)

    def error(self, name: str, prompt: int, completion: int) -> BudgetSpent:
        """Return the error that says what was spent, and what would not fit."""
        tokens, dollars = self.account.spent()
        limits = [] if self.max_tokens is None else [f"{tokens:,} of max_tokens_total={self.max_tokens:,} tokens"]
        limits += [] if self.max_cost is None else [f"${dollars:.4f} of max_cost=${self.max_cost:.4f}"]
        most = f"{prompt + completion:,} tokens"
        most += "" if self.max_cost is None else f" (${self.price.of(prompt, completion):.4f})"
        return BudgetSpent(
            f"the budget of {name} for one run is used up: {' and '.join(limits)} spent, and the next answer may take "
            f"{most}. Every answer so far is kept: raise the budget and run again, and only what is missing is asked"
        )
