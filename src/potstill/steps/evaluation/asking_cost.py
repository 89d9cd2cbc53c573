"""What measuring a model will cost: its requests with their prompts once its inputs exist, and what is unknown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from potstill.engine.step import Estimate
from potstill.teachers.cache.forecast import Count, Counted

if TYPE_CHECKING:
    from potstill.teachers.protocol import Request

PROMPTS_UNKNOWN = "whose prompts can't be read before its inputs are made: they are taken to be as long as answers"
"""What is missing of a price while rows are still to be made."""
LENGTHS_UNKNOWN = "whose texts can't be read before its inputs are made: their tokens are not counted"
"""What is missing of the price of reading texts until then."""
ROWS_UNKNOWN = "whose number of rows is unknown until they are made"
"""What is missing of it while not even their number is known."""


def is_paid(model: object) -> bool:
    """Return whether a model is a teacher whose tokens have a price."""
    return getattr(model, "price", None) is not None


def cost_of_requests(requests: Iterable[Request], model: object) -> Estimate:
    """Return the cost of all `requests`, by the lengths of their prompts and the longest answers."""
    count = Count()
    with contextlib.suppress(Counted):
        count.take(requests)
    price = getattr(model, "price", None)
    return Estimate(
        calls=count.asked,
        tokens=count.prompt_tokens + count.completion_tokens,
        dollars=price.of(count.prompt_tokens, count.completion_tokens) if price else 0.0,
    )


def possible_threads() -> list[int]:
    """Return how many threads a step of a run on this machine may have: all, or a share of several at once."""
    from potstill.engine.resources import available_cpus

    cores = available_cpus()
    return sorted({max(1, cores // jobs) for jobs in range(1, cores + 1)}, reverse=True)
