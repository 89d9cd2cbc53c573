"""One OpenAI-compatible server, spoken to by the official client: what its refusals mean, and what may pass."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.teachers.dispatch import Trouble
from potstill.teachers.protocol import Response

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

LONGEST_ASKED = 300.0
"""Most seconds that a server may ask to wait; one that wants more (a day's quota is gone) ends the step."""
CONNECT_SECONDS = 20.0
"""How long opening a connection may take."""
OVERFLOW = re.compile(r"context.{0,10}length|context.{0,10}window|too (long|many tokens)|maximum.{0,20}tokens", re.I)
"""What servers call a prompt that is too long."""
NO_MODEL = ("model_not_found", "invalid_model", "model_not_supported")
"""Codes by which some servers refuse a model's name with 400."""


@dataclass
class Wire:
    """Connections to one server."""

    base_url: str
    """Its address, with the version."""
    model: str
    """The model that is asked for."""
    key: str = field(repr=False)
    """The key, taken out of every message."""
    key_from: str
    """Where the user put the key, in words."""
    client: AsyncOpenAI = field(repr=False)
    """The official client; retries are ours."""
    timeout: float
    """Seconds for an answer."""
    answered: bool = False
    """Whether the server has answered a request."""

    async def ask(self, path: str, body: dict[str, Any], read: Callable[[Any], Response]) -> Response | Trouble:
        """Send once.

        Raises:
            BadInput: the key, the address or the model's name is wrong, for every request alike.
            PotstillError: the account's money or quota is used up.
        """
        import httpx2
        from openai import APIConnectionError, APIStatusError

        text, refusal = "", None
        try:
            reply = await self.client.post(path, body=body, cast_to=httpx2.Response)
            text = reply.text
        except APIStatusError as error:
            refusal = error
        except APIConnectionError as error:
            return self._cut(error)
        except httpx2.HTTPError as error:
            return Trouble(self._clean(f"the connection was cut: {type(error).__name__}: {error}"))
        if refusal is not None:
            # raised outside of the handler: a log shows the chain of errors, and a server's own may hold the key
            return await self._refused(refusal)
        try:
            response = read(json.loads(text))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            return Trouble(f"unreadable answer ({type(error).__name__}): {self._clean(text)}")
        self.answered = True
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    def _cut(self, error: APIConnectionError) -> Trouble:
        """Tell a server that is not there from one that is silent, or hung up."""
        import httpx2
        from openai import APITimeoutError

        cause = error.__cause__
        what = self._clean(f"{type(cause or error).__name__}: {cause or error}")
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout)):
            return Trouble(what, down=True)
        if isinstance(error, APITimeoutError):
            return Trouble(f"no answer within timeout={self.timeout:g} s")
        return Trouble(f"the connection was cut: {what}")

    async def _refused(self, error: APIStatusError) -> Response | Trouble:
        """Return what an answer other than 200 means for the request, or raise what it means for all."""
        status, said, code = error.status_code, self._said(error), str(error.code)
        if status in (401, 402, 404) or (status == 403 and not self.answered) or code in NO_MODEL:
            raise await self._wrong(status, said, code)
        if code == "insufficient_quota":
            raise PotstillError(f"{self.base_url}: the account's quota is used up: {said}. Every answer so far is kept")
        if status in (408, 409, 425, 429) or status >= 500:
            pause = asked_pause(error.response.headers)
            if pause is not None and pause > LONGEST_ASKED:
                raise PotstillError(
                    f"{self.base_url} asks to wait {pause:.0f} s ({status}: {said}): run again then. Every answer so "
                    "far is kept, and only what is missing is asked"
                )
            return Trouble(f"{status}: {said}", pause, limited=status in (429, 503, 529))
        overflow = code == "context_length_exceeded" or (status in (400, 413, 422) and OVERFLOW.search(said))
        what = "context overflow: " if overflow else ""
        return Response(f"{what}{status}: {said}", "error", retryable=False)

    async def _wrong(self, status: int, said: str, code: str) -> PotstillError:
        """Return the error of a key, an address or a model name that is wrong."""
        start = f"{self.base_url} refuses the model {self.model!r} with {status}: {said}"
        if status in (401, 403):
            hint = f"check the key in {self.key_from}" + ("" if self.key else ", which is empty")
        elif status == 402:
            return PotstillError(f"{start}; the account has no money left. Every answer so far is kept")
        else:
            known = await self._models()
            if known is None:
                hint = "check base_url: it ends with the version, such as /v1, and no models are listed there"
            elif self.model in known and code not in NO_MODEL:
                hint = "the server knows the model, so base_url or api is wrong for it"
            else:
                hint = f"the models that it knows: {', '.join(known[:30]) or 'none'}"
        return BadInput(f"{start}; {hint}")

    async def _models(self) -> list[str] | None:
        """Return the names that the server knows, or None if it doesn't say."""
        import httpx2
        from openai import OpenAIError

        try:
            reply = await self.client.get("/models", cast_to=httpx2.Response)
            return sorted(str(model["id"]) for model in reply.json()["data"])
        except (OpenAIError, httpx2.HTTPError, ValueError, KeyError, TypeError):
            return None

    def _said(self, error: APIStatusError) -> str:
        """Return the beginning of what the server said."""
        body = error.body
        message = body.get("message") if isinstance(body, dict) else None
        return self._clean(str(message or error.response.text or error.message))

    def _clean(self, text: str) -> str:
        """Return the beginning of a text, without the key."""
        text = text.strip()
        return (text.replace(self.key, "***") if self.key else text)[:400]


def connect(
    base_url: str, model: str, key: str, key_from: str, *, timeout: float, connections: int, trust_env: bool = True
) -> Wire:
    """Return the connections to a server; it is first spoken to by the first request.

    `trust_env` lets the environment name a proxy.
    """
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    waits = httpx2.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout))
    http = DefaultAsyncHttpxClient(limits=limits, timeout=waits, trust_env=trust_env)
    client = AsyncOpenAI(base_url=base_url, api_key=key or "none", timeout=waits, max_retries=0, http_client=http)
    return Wire(base_url, model, key, key_from, client, timeout)


def asked_pause(headers: Any) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, section 10.2.3), or None if it doesn't say."""
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None
