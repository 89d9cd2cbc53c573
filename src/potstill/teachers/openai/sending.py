"""Requests to one server in the form that it takes: what a refusal teaches, and when refusals are everyone's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from potstill.teachers.openai.client import Wire
from potstill.teachers.openai.fitting import Fit
from potstill.teachers.openai.outcome import Outcome, Refusal, Refusals
from potstill.teachers.openai.payloads import Body
from potstill.teachers.protocol import Response


@dataclass
class Sender:
    """Sends requests to one server in the form that it takes, and sees when it refuses them all."""

    wire: Wire
    """The connections."""
    fit: Fit
    """How requests are changed to what the server takes."""
    refusals: Refusals = field(default_factory=Refusals)
    """What it refused since the last answer."""

    async def send(self, body: Body) -> Outcome:
        """Send one request, again at once where a refusal teaches how to ask.

        Raises:
            BadInput: the server refuses every request alike.
        """
        while True:
            fields = self.fit.fitted(body.fields)
            outcome = await self.wire.ask(body.path, fields, body.read)
            result = outcome.result
            if isinstance(result, Response):
                self.refusals.answered()
                return replace(outcome, result=self.fit.finish(result, body.fields))
            if not isinstance(result, Refusal):
                return outcome
            # what was sent before another request's refusal taught the same is sent again, too
            if self.fit.fitted(body.fields) != fields or self.fit.learn(result, fields):
                continue
            if self.refusals.are_everyones(result):
                raise await self.wire.wrong(result)
            return outcome
