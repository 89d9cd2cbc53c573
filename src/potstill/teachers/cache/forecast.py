"""What a step that asks a teacher will still ask: its requests, counted against the journal without asking any.

A dry run draws the step's requests as a run would. What the journal holds is answered from there; the first requests
that it lacks are counted with their lengths, and then the dry run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from potstill.engine.step import Estimate, Step, Trial

if TYPE_CHECKING:
    from potstill.teachers.openai.budget import Price
    from potstill.teachers.protocol import Request

SAMPLE_ROWS = 2_000
"""Rows of an input that a dry run reads; of longer ones the figures are scaled, so that a plan takes seconds."""
CHARACTERS_PER_TOKEN = 4
"""English in the vocabularies of today's models; a rough figure for prices, not a limit."""


class Counted(BaseException):
    """Ends a dry run; no Exception, so that no step takes it for a row's failure."""


@dataclass
class Count:
    """What a dry run met."""

    cached: int = 0
    """Requests that the journal answers."""
    asked: int = 0
    """Requests that a teacher would have to answer."""
    prompt_tokens: int = 0
    """Tokens of the prompts among these, roughly."""
    completion_tokens: int = 0
    """Tokens that their answers may have at most."""

    def take(self, requests: Iterable[Request]) -> None:
        """Count requests that a teacher would be asked.

        Raises:
            Counted: always, so that the dry run ends here.
        """
        for request in requests:
            self.asked += 1
            text = request.raw or "".join(message["content"] for message in request.messages)
            given = len(request.tokens or ()) + len(request.scored_tokens)
            self.prompt_tokens += len(text + (request.continuation or "")) // CHARACTERS_PER_TOKEN + given
            # a text that is scored is read, and nothing is written
            self.completion_tokens += 0 if request.scores else request.sampling.max_tokens
        raise Counted


CURRENT: ContextVar[Count | None] = ContextVar("count of a dry run", default=None)
"""The count of the dry run that goes on here, or None: then requests are for a teacher."""


@contextmanager
def counting() -> Iterator[Count]:
    """Count requests instead of asking, until the block ends."""
    count = Count()
    token = CURRENT.set(count)
    try:
        yield count
    except Counted:
        pass
    finally:
        CURRENT.reset(token)


def still_to_ask(step: Step, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
    """Return what a step will cost whose `teacher` is asked: less what the journal holds, at the teacher's price."""
    inputs, share = sampled(trial.inputs())
    price = getattr(inputs["teacher"], "price", None)
    run: Callable[..., Iterable[object]] = step.run  # type: ignore[attr-defined]  # what each step defines
    return left_to_ask(step.estimate(rows), lambda: run(**inputs, context=trial.context()), share, price)


def left_to_ask(bound: Estimate, run: Callable[[], Iterable[object]], share: float, price: Price | None) -> Estimate:
    """Return the cost of a step that `run` would start: `bound`, less what the journal holds, with measured prompts.

    Args:
        bound: what the step costs where nothing is answered yet.
        run: starts the step on a `share` of its rows.
        share: the rows that it sees, of all; between 0 and 1.
        price: of the teacher; None where tokens cost nothing.
    """
    with counting() as count:
        for _ in run():
            pass
    cached = round(count.cached / share)
    if not count.asked:
        return replace(bound, calls=0, tokens=0, cached=cached)
    calls = max(count.asked, bound.calls - cached)
    prompt, completion = (tokens * calls // count.asked for tokens in (count.prompt_tokens, count.completion_tokens))
    dollars = price.of(prompt, completion) if price else 0.0
    return replace(bound, calls=calls, tokens=prompt + completion, cached=cached, dollars=dollars)


def sampled(inputs: Mapping[str, object]) -> tuple[dict[str, object], float]:
    """Return the inputs of a dry run, datasets cut to `SAMPLE_ROWS`, and which share of the longest that is."""
    cut: dict[str, object] = {}
    share = 1.0
    for name, value in inputs.items():
        cut[name] = value
        if hasattr(value, "select") and hasattr(value, "column_names") and len(value) > SAMPLE_ROWS:  # type: ignore[arg-type]
            cut[name] = value.select(range(SAMPLE_ROWS))
            share = min(share, SAMPLE_ROWS / len(value))  # type: ignore[arg-type]
    return cut, share
