"""What requests ask for: OpenAI's forms, read with everything that is wrong named together."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from potstill.errors import BadInput

MOST_BYTES = 4 * 2**20
"""Bytes of a request."""
MOST_TEXTS = 2_048
"""Texts of a request; OpenAI takes as many."""
MOST_STOPS = 16
"""Texts that may end an answer; OpenAI takes 4."""
DEFAULT_TOKENS = 1_024
"""Most tokens of an answer where the request does not say; OpenAI's is what the context leaves, which a small model
that repeats itself fills."""
MOST_TOKENS = 2**20
"""Most tokens that may be asked for; the model's context is the limit."""
ROLES = ("system", "developer", "user", "assistant")
"""Who may have said something."""
IGNORED = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
"""Fields that say nothing about the answer."""
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
}
"""Fields that only these values, and null, may have: what others ask for is not served."""


class TooLarge(BadInput):
    """A request has more bytes than are read."""


class WrongModel(BadInput):
    """A request asks for another model than the one that is served."""


@dataclass(frozen=True)
class ChatQuestion:
    """A request for an answer in a chat."""

    messages: list[dict[str, str]]
    """The chat."""
    sampling: dict[str, Any]
    """How the answer is drawn: fields of `Sampling`."""
    seed: int
    """Of this answer's random numbers."""
    stream: bool
    """Whether the answer is sent as it grows."""
    usage: bool
    """Whether a stream ends with the counts of tokens."""

    @property
    def stops(self) -> list[str]:
        """Return the texts that end the answer."""
        return list(self.sampling["stop"])

    def as_json(self) -> dict[str, Any]:
        """Return what the model's process is asked."""
        return {"messages": self.messages, "sampling": self.sampling, "seed": self.seed}


@dataclass(frozen=True)
class TextsQuestion:
    """A request about texts."""

    texts: list[str]
    """The texts."""
    base64: bool = False
    """Whether vectors come as base64 of float32 numbers, little-endian, and not as lists."""


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries.

    Raises:
        TooLarge: it has more than `MOST_BYTES`.
        BadInput: it is no JSON object.
    """
    try:
        value = json.loads(await content_of(request))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput("the request must be a JSON object")
    return value


async def content_of(request: Request) -> bytes:
    """Return what a request carries.

    Raises:
        TooLarge: it has more than `MOST_BYTES`.
    """
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MOST_BYTES:
            raise TooLarge(f"a request has at most {MOST_BYTES:,} bytes")
    return content


def chat_question(body: Mapping[str, Any], model: str) -> ChatQuestion:
    """Return what a body of OpenAI's chat form asks the served `model`.

    Raises:
        WrongModel: it asks for another one.
        BadInput: with everything that is wrong with it.
    """
    fields = _Fields(body, model)
    messages = fields.read("messages", None, _messages)
    most = fields.read("max_completion_tokens", None, _whole(1, MOST_TOKENS))
    most = most or fields.read("max_tokens", DEFAULT_TOKENS, _whole(1, MOST_TOKENS))
    sampling = {
        "max_tokens": most,
        "temperature": fields.read("temperature", 1.0, _number(0, 2)),
        "top_p": fields.read("top_p", 1.0, _number(0, 1, above=True)),
        "presence_penalty": fields.read("presence_penalty", 0.0, _number(-2, 2)),
        "stop": fields.read("stop", [], _stops),
    }
    seed = fields.read("seed", random.randrange(2**31), _whole(-(2**63), 2**63 - 1))
    stream = fields.read("stream", False, _flag)
    options = fields.read("stream_options", {}, _stream_options)
    fields.done("messages", needed="a list of the chat's messages")
    return ChatQuestion(messages, sampling, seed, stream, bool(options.get("include_usage")))


def classify_question(body: Mapping[str, Any], model: str) -> TextsQuestion:
    """Return the texts that a body asks to classify.

    Raises:
        WrongModel: it asks for another model.
        BadInput: with everything that is wrong with it.
    """
    fields = _Fields(body, model)
    texts = fields.read("texts", None, _texts)
    fields.done("texts", needed="a list of texts")
    return TextsQuestion(texts)


def embeddings_question(body: Mapping[str, Any], model: str) -> TextsQuestion:
    """Return the texts that a body of OpenAI's form asks vectors of.

    Raises:
        WrongModel: it asks for another model.
        BadInput: with everything that is wrong with it.
    """
    fields = _Fields(body, model)
    texts = fields.read("input", None, lambda value: _texts([value] if isinstance(value, str) else value))
    form = fields.read("encoding_format", "float", _encoding)
    fields.read("dimensions", None, _no_dimensions)
    fields.done("input", needed="a text, or a list of texts")
    return TextsQuestion(texts, form == "base64")


class _Fields:
    """The fields of a body, each read once; what is wrong is kept for the end."""

    def __init__(self, body: Mapping[str, Any], model: str) -> None:
        self._body = {name: value for name, value in body.items() if value is not None}
        self._problems: list[str] = []
        self._known = {"model", *IGNORED}
        asked = self._body.get("model", model)
        if asked != model:
            raise WrongModel(f"the model {str(asked)!r:.80} is not served here: {model!r} is")

    def read(self, name: str, default: Any, check: Callable[[Any], Any]) -> Any:
        """Return a field as `check` returns it; the default where it is not there, or wrong."""
        self._known.add(name)
        if name not in self._body:
            return default
        try:
            return check(self._body[name])
        except ValueError as error:
            self._problems.append(f"{name} {error}, got {_shown(self._body[name])}")
            return default

    def done(self, name: str, *, needed: str) -> None:
        """Refuse a body without the field `name`, with fields that are not served, or with wrong ones."""
        if name not in self._body:
            self._problems.append(f"{name} is missing: {needed}")
        for field, value in self._body.items():
            if field in self._known or (field in NEUTRAL and _is_neutral(field, value)):
                continue
            what = "is not served with that value" if field in NEUTRAL else "is not known"
            self._problems.append(f"{field[:60]!r} {what}, got {_shown(value)}: leave it out")
        if self._problems:
            raise BadInput(*self._problems)


def _is_neutral(field: str, value: object) -> bool:
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in NEUTRAL[field])


def _shown(value: object) -> str:
    """Return a wrong value, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"is a whole number from {least:,} to {most:,}")
        return value

    return check


def _number(least: float, most: float, *, above: bool = False) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most or (above and value == least):
            raise ValueError(
                f"is a number {'above' if above else 'from'} {least:g} {'up ' if above else ''}to {most:g}"
            )
        return float(value)

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _text(value: Any) -> str:
    """Return a text, if it is one that can be written: JSON can spell half a character."""
    if not isinstance(value, str):
        raise ValueError("is a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a surrogate without the other)") from None
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_TEXTS:
        raise ValueError(f"is a list of 1 to {MOST_TEXTS:,} texts")
    return _each(value, _text)


def _each(values: Iterable[Any], check: Callable[[Any], Any]) -> list[Any]:
    """Return values as `check` returns them; the first wrong one is named by its place."""
    checked = []
    for place, value in enumerate(values):
        try:
            checked.append(check(value))
        except ValueError as error:
            raise ValueError(f"[{place}] {error}") from None
    return checked


def _stops(value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(one and isinstance(one, str) for one in stops):
        raise ValueError(f"is a text or a list of up to {MOST_STOPS} texts, none of them empty")
    return _each(stops, _text)


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise ValueError("is a list of at least one message")
    return _each(value, _message)


def _message(value: Any) -> dict[str, str]:
    """Return a message with its content as one text."""
    if not isinstance(value, dict) or value.get("role") not in ROLES:
        raise ValueError(f"is an object with a role ({', '.join(ROLES)}) and a content")
    content = value.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            raise ValueError("has a part that is no text: only texts are read")
        content = "".join(_each([part.get("text") for part in content], _text))
    # what the chat templates of models know is `system`
    role = "system" if value["role"] == "developer" else value["role"]
    return {"role": role, "content": _text(content)}


def _stream_options(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("include_usage", False), bool):
        raise ValueError("is an object with include_usage, true or false")
    return value


def _encoding(value: Any) -> str:
    if value not in ("float", "base64"):
        raise ValueError("is float or base64")
    return str(value)


def _no_dimensions(value: Any) -> None:
    raise ValueError("can't be chosen: the model's own is used, leave it out")
