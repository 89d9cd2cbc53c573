"""One OpenAI-compatible server: what its answers and refusals mean, and what may pass."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

from potstill.errors import BadInput, PotstillError
from potstill.teachers.openai.answers import ErrorInside, UnreadableAnswer, loads, usage_of
from potstill.teachers.openai.budget import FREE, Price
from potstill.teachers.openai.connection import Connection, Reply, TooLarge
from potstill.teachers.openai.outcome import Outcome, Refusal, Trouble
from potstill.teachers.protocol import NOTHING, Response, Usage

LONGEST_ASKED = 300.0
"""Most seconds that a server may ask to wait; one that wants more (a day's quota is gone) ends the step."""
NO_QUOTA = "insufficient_quota"
"""The code, or the type, of an error that no wait ends."""
NO_MODEL = ("model_not_found", "invalid_model", "model_not_supported")
"""Codes by which some servers refuse a model's name with 400."""
SHORTEST_SECRET = 8
"""Characters of the shortest secret that is looked for in answers: a shorter one may be any word."""
PLACEHOLDERS = ("lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "dummy-key", "no-api-key")
"""Keys that manuals of local servers tell to send, which are no secrets, and may be words of an answer."""

Read = Callable[[Any, Usage | None], Response]
"""Reads an answer, of which is known what it was billed."""


@dataclass(frozen=True)
class Secrets:
    """What must stand in no file and no message."""

    values: tuple[str, ...] = field(default=(), repr=False)
    """Keys, and headers that hold one."""
    source: str = ""
    """Where the user put the key, in words."""
    sent: bool = True
    """Whether the key is sent at all."""

    def masked(self, text: str) -> str:
        """Return an answer's text without them, should the server have repeated one."""
        for value in self.values:
            letters = value.isalpha() and len(value) < 2 * SHORTEST_SECRET
            is_word = letters or len(value) < SHORTEST_SECRET or value.lower() in PLACEHOLDERS
            text = text if is_word else text.replace(value, "***")
        return text

    def clean(self, text: str) -> str:
        """Return the beginning of a message without them."""
        text = text.strip()
        for value in self.values:
            if len(value) >= SHORTEST_SECRET:
                text = text.replace(value, "***")
            elif value:  # a whole word only: "token" is in "max_tokens", which the message may be about
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
        return text[:400]


@dataclass
class Wire:
    """Connections to one server that answers for one model."""

    connection: Connection
    """The connections."""
    model: str
    """The model that is asked for."""
    secrets: Secrets
    """What is shown nowhere."""
    timeout: float
    """Seconds for an answer."""
    price: Price = FREE
    """What tokens cost."""
    answered: bool = False
    """Whether the server has answered a request."""
    _listed: bool = False

    @property
    def name(self) -> str:
        """The address, for messages."""
        return self.connection.address.name

    async def ask(self, path: str, body: dict[str, Any], read: Read) -> Outcome:
        """Send once. Any answer is counted, and spoils no other request.

        Raises:
            BadInput: the key, the address or the model's name is wrong, for every request alike.
            PotstillError: the account's money or quota is used up.
        """
        import httpx2

        try:
            reply = await self.connection.post(path, body)
        # nothing was sent in these cases, so that nothing can have been billed
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol) as error:
            return Outcome(Trouble(self.secrets.clean(f"{type(error).__name__}: {error}"), down=True))
        except httpx2.PoolTimeout as error:
            return Outcome(Trouble(f"no connection was free: {type(error).__name__}"))
        # the usage is None, unknown: the server may go on and bill what it writes
        except httpx2.TimeoutException:
            return Outcome(Trouble(f"no answer within timeout={self.timeout:g} s"), None)
        except BadInput as error:  # a redirect, which may repeat the key
            raise BadInput(self.secrets.clean(str(error))) from None
        except TooLarge as error:
            return Outcome(Response(str(error), "error", retryable=False), None)
        except (httpx2.HTTPError, OSError) as error:
            text = f"the connection was cut: {type(error).__name__}: {error}"
            return Outcome(Trouble(self.secrets.clean(text)), None)
        if reply.status >= 300:
            return await self._refused(reply, *said_in(reply.text))
        return await self._read(reply, read)

    async def get(self, path: str) -> Any:
        """Return what is at `path`, read as JSON."""
        return loads((await self.connection.get(path)).text)

    async def close(self) -> None:
        """Close the connections."""
        await self.connection.close()

    async def _read(self, reply: Reply, read: Read) -> Outcome:
        """Read an answer; nothing that a server can write leaves here as an exception."""
        usage: Usage | None = None
        try:
            answer = loads(reply.text)
            usage = usage_of(answer, self.price)
            response = read(answer, usage)
        except ErrorInside as error:
            refused = await self._refused(replace(reply, status=error.status), error.said, error.code, "")
            return replace(refused, usage=usage or NOTHING)
        except UnreadableAnswer as error:
            return Outcome(Trouble(f"unreadable answer ({error}): {self.secrets.clean(reply.text)}"), usage)
        except Exception as error:  # noqa: BLE001 - an answer is data, and may be odd in any way
            what = f"unreadable answer ({type(error).__name__}): {self.secrets.clean(reply.text)}"
            return Outcome(Trouble(what), usage)
        self.answered = True
        if usage is not None and not usage.completion and (response.text.strip() or response.reasoning.strip()):
            usage = None  # who counts nothing for a text that is there has not counted
        text, thoughts = self.secrets.masked(response.text), self.secrets.masked(response.reasoning)
        return Outcome(replace(response, text=text, reasoning=thoughts), usage)

    async def _refused(self, reply: Reply, message: str, code: str, parameter: str) -> Outcome:
        """Return what an answer other than 200 means for the request, or raise what it means for all."""
        status, message = reply.status, self.secrets.clean(message)
        if status in (401, 402) or code in NO_MODEL:
            raise await self._wrong(status, message, code)
        if code == NO_QUOTA:
            raise PotstillError(f"{self.name}: the account's quota is used up: {message}. Every answer so far is kept")
        if status in (408, 409, 425, 429) or status >= 500:
            pause = asked_pause(reply.headers)
            if pause is not None and pause > LONGEST_ASKED:
                raise PotstillError(
                    f"{self.name} asks to wait {pause:.0f} s ({status}: {message}): run again then. Every answer so "
                    "far is kept, and only what is missing is asked"
                )
            return Outcome(Trouble(f"{status}: {message}", pause, limited=status in (429, 503, 529)))
        # a wrong address and a wrong model name both give 404: the list of models distinguishes them
        if status == 404 and not (self.answered or self._listed):
            self._listed = True
            if await self._knows_nothing():
                raise await self._wrong(status, message, code)
        return Outcome(Refusal(status, message, code, parameter, self._hint(status)))

    async def wrong(self, refusal: Refusal) -> PotstillError:
        """Return the error of a refusal that is everyone's."""
        if refusal.status == 404:
            return await self._wrong(404, refusal.said, refusal.code)
        which = f" (field {refusal.parameter!r})" if refusal.parameter else ""
        hint = refusal.hint or (
            "if it names a field of the request, leave that out with without=(...) or rename it with max_tokens_as; "
            "system_role and extra_body change the rest"
        )
        return BadInput(
            f"{self.name} refuses request after request alike, with {refusal.status}: {refusal.said}{which}; {hint}. "
            "Every answer so far is kept"
        )

    def _hint(self, status: int) -> str:
        """Return what to do if no request is answered."""
        if self.answered or status != 403:
            return ""
        return f"check the key in {self.secrets.source}{self._key_state()}"

    def _key_state(self) -> str:
        """Return what is odd about the key, for messages."""
        if not self.secrets.sent:
            return ", which is not sent over plain http: take https, or say insecure=True"
        return "" if self.secrets.values and self.secrets.values[0] else ", which is empty"

    async def _wrong(self, status: int, message: str, code: str) -> PotstillError:
        """Return the error of a key, an address or a model name that is wrong."""
        start = f"{self.name} refuses the model {self.model!r} with {status}: {message}"
        if status in (401, 403):
            hint = f"check the key in {self.secrets.source}{self._key_state()}"
        elif status == 402:
            return PotstillError(f"{start}; the account has no money left. Every answer so far is kept")
        else:
            models = await self._models()
            if models is None:
                hint = "check base_url: it ends with the version, such as /v1, and no models are listed there"
            elif self.model in models and code not in NO_MODEL:
                hint = "the server knows the model, so base_url or api is wrong for it"
            else:
                hint = f"the models that it knows: {self.secrets.clean(', '.join(models[:30])) or 'none'}"
        return BadInput(f"{start}; {hint}")

    async def _knows_nothing(self) -> bool:
        """Return whether the server says that it has no such model, or nothing at all at this address."""
        models = await self._models()
        if models is not None:
            return self.model not in models
        try:
            return (await self.connection.get("/models")).status == 404
        except Exception:  # noqa: BLE001 - it doesn't say
            return False

    async def _models(self) -> list[str] | None:
        """Return the names that the server knows, or None if it doesn't say."""
        try:
            return sorted(str(model["id"]) for model in (await self.get("/models"))["data"])
        except Exception:  # noqa: BLE001 - the answer may be anything, and only a hint depends on it
            return None


def said_in(text: str) -> tuple[str, str, str]:
    """Return what a server said in the body of an error: its message, its code, and the field that it names."""
    try:
        body: Any = loads(text)
        body = body[0] if isinstance(body, list) and body else body
        inner = body["error"] if isinstance(body, Mapping) and body.get("error") else body
        if not isinstance(inner, Mapping):
            return str(inner), "", ""
        message = inner.get("message") or inner.get("detail") or inner.get("msg") or text
        code = NO_QUOTA if inner.get("type") == NO_QUOTA else inner.get("code") or ""
        return str(message), str(code), str(inner.get("param") or "")
    except (ValueError, TypeError, RecursionError):
        # an HTML page of a proxy: without its tags, and with a bound that keeps the expression linear
        return re.sub(r"<[^<>]{0,1000}>", " ", text) if text.lstrip().startswith("<") else text, "", ""


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, section 10.2.3), or None if it doesn't say."""
    header = headers.get("retry-after")
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        # the header is a number of seconds, or a date
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
