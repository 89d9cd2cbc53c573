"""What a teacher behind an endpoint may cost in one run: counted as answers arrive, and never passed.

An answer that doesn't say what it took, one that could not be read, and a request that was sent and whose answer never
came (a cut connection, a time limit, an end in between) count as the most that they may have cost: `max_tokens`, and a
bound on the prompt's tokens. A refusal costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge

from potstill.errors import PotstillError
from potstill.teachers.openai.account import Account, Sum
from potstill.teachers.protocol import Usage

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
class Budget:
    """Lets a request go only if the longest answer to it still fits, so that the limits are never passed."""

    max_tokens: int | None
    """Most tokens, read and written."""
    max_cost: float | None
    """Most dollars."""
    price: Price
    """What a token costs."""
    account: Account
    """What was spent, and what is set aside for requests in flight, here and elsewhere."""

    @property
    def limited(self) -> bool:
        """Whether there are limits at all."""
        return self.max_tokens is not None or self.max_cost is not None

    def hold(self, prompt: int, completion: int) -> bool:
        """Set aside what a request may cost at most, if there is as much; a budget without limits always has it."""
        return not self.limited or self.account.hold(self._most(prompt, completion), (self.max_tokens, self.max_cost))

    def settle(self, prompt: int, completion: int, billed: Usage | None) -> None:
        """Give back what was set aside, and count what was billed: all of it, where that is not known."""
        if self.limited:
            most = self._most(prompt, completion)
            billed_amount = most if billed is None else (billed.prompt + billed.completion, billed.cost)
            self.account.settle(most, billed_amount)

    def may_fit(self, prompt: int, completion: int) -> bool:
        """Return whether a request would fit if what others have set aside were given back."""
        spent, most = self.account.spent(), self._most(prompt, completion)
        limits = (self.max_tokens, self.max_cost)
        return all(limit is None or used + need <= limit for used, need, limit in zip(spent, most, limits, strict=True))

    def _most(self, prompt: int, completion: int) -> Sum:
        """Return what a request may cost at most."""
        return prompt + completion, self.price.of(prompt, completion)

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
