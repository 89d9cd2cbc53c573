"""What every teacher offers: messages in; text, finish reason, token counts and, when asked, log-probabilities out.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, Union, runtime_checkable

from potstill.errors import BadInput, Problem
from potstill.models.chat import Messages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def with_system(system: str, messages: Messages) -> Messages:
    """Return the chat with `system` first; a system message that it has already follows in the same message."""
    if not system:
        return messages
    if messages and messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


@dataclass(frozen=True)
class Structured:
    """A form that the response must have; exactly one of the fields is given."""

    json_schema: str = ""
    """A JSON schema, as JSON text."""
    regex: str = ""
    """A regular expression that the whole response matches."""
    choice: tuple[str, ...] = ()
    """Texts of which the response is one."""

    def __post_init__(self) -> None:
        """Refuse none, or several.

        Raises:
            BadInput: not exactly one of the fields is given.
        """
        forms = [name for name in ("json_schema", "regex", "choice") if getattr(self, name)]
        if len(forms) != 1:
            raise BadInput(
                Problem("", "structured", f"give one of json_schema, regex and choice, got {forms or 'none'}")
            )


@dataclass(frozen=True)
class Sampling:
    """How a response is drawn."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass; 1 keeps the whole distribution."""
    max_tokens: int = 512
    """Longest response, in tokens; a response cut there has finish reason `length`."""
    stop: tuple[str, ...] = ()
    """Texts that end the response (not part of it)."""
    top_k: int = 0
    """Log-probabilities kept a token, always of the temperature-1 distribution; 0 keeps none."""
    presence_penalty: float = 0.0
    """Taken from the logit of every token that the response holds already; above 0 it repeats itself less."""
    structured: Structured | None = None
    """The form that the response is held to while it is decoded; None leaves it free."""


@dataclass(frozen=True)
class Request:
    """One prompt for a teacher."""

    messages: Messages
    """The chat; the teacher's own chat template renders it."""
    sampling: Sampling
    """How to draw the response."""
    seed: int = 0
    """Seed of this one response, so that it doesn't depend on what else is in the batch."""
    continuation: str | None = None
    """A text to score as the response, the end-of-turn token after it included: nothing is generated, and `sampling`
    counts only for its `top_k`. An engine that can't do so says `gives_scores = False`."""
    raw: str | None = None
    """A text that is continued as it is, without a chat template and without the teacher's system prompt; `messages`
    then counts for nothing."""
    tokens: tuple[int, ...] | None = None
    """A prompt as token ids of the teacher's own tokenizer, in the place of a text; `messages`, `raw` and the system
    prompt then count for nothing. Only engines that run here, and give scores, take one."""
    scored_tokens: tuple[int, ...] = ()
    """Behind `tokens`, the token ids to score, as `continuation` is the text to score; no end of turn is added."""

    @property
    def scores(self) -> bool:
        """Return whether a given text is scored, and nothing is written."""
        return self.continuation is not None or bool(self.scored_tokens)


@dataclass(frozen=True)
class Usage:
    """What was billed."""

    prompt: int = 0
    """Tokens read."""
    completion: int = 0
    """Tokens written."""
    cost: float = 0.0
    """Dollars, by the teacher's price table."""

    def __add__(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(self.prompt + other.prompt, self.completion + other.completion, self.cost + other.cost)


NOTHING = Usage()
"""What costs nothing."""


@dataclass(frozen=True)
class Response:
    """What a teacher wrote for one request."""

    text: str
    """The response, without special tokens."""
    finish_reason: str
    """`stop`, or `length` when it was cut, or `error` when the request failed (then `text` says why)."""
    prompt_tokens: int = 0
    """Tokens read."""
    completion_tokens: int = 0
    """Tokens written."""
    token_ids: NDArray[np.int32] | None = None
    """[T] tokens of the response, the end-of-turn token included; kept with soft labels."""
    top_ids: NDArray[np.int32] | None = None
    """[T, K] token ids, most probable first."""
    top_logprobs: NDArray[np.float16] | None = None
    """[T, K] their log-probabilities at temperature 1."""
    token_logprobs: NDArray[np.float32] | None = None
    """[T] log-probability at temperature 1 of each token of the response; kept with soft labels and scores."""
    retryable: bool = field(default=True)
    """For an error: whether asking again may help."""
    cost: float = 0.0
    """Dollars that this response was billed, by the teacher's price table."""
    reasoning: str = field(default="", kw_only=True)
    """The teacher's reasoning before it answered, where it is given; never part of `text` once a step reads it."""
    unusable: bool = field(default=False, kw_only=True)
    """For an error: whether the teacher did answer, but with nothing that can be used (a refusal, thoughts alone). Such
    an answer is kept, as the same request would be answered so again; another draw may be better."""
    adapted: tuple[str, ...] = field(default=(), kw_only=True)
    """How the request was changed to what the server takes, in words: it had refused what was asked."""
    earlier: Usage = field(default=NOTHING, kw_only=True)
    """What tries before this one were billed, whose answers could not be read."""


class Session(Protocol):
    """A teacher that is loaded, or connected, and ready."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(number of the request, response)` as the responses finish, in any order.

        `requests` are drawn as there is room for them, so there may be any number. Closing the iterator drops those
        that are unfinished.
        """


@runtime_checkable
class Throttled(Protocol):
    """A session that a server slows down by refusing what is too much."""

    @property
    def note(self) -> str:
        """What slows the requests down, in a few words for the progress line, or nothing."""

    @property
    def refusals(self) -> int:
        """How often the server had too much to do."""


@runtime_checkable
class Streaming(Protocol):
    """A session that shows an answer while it is written."""

    def stream(self, request: Request, show: Callable[[str], None]) -> Response:
        """Return the response, calling `show` with the text so far as it grows; what `show` raises ends it."""


class Teacher(Protocol):
    """A model that answers chats; a frozen dataclass whose `model` may be a step."""

    @property
    def label(self) -> str:
        """Short name for reports."""

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on (model digest, system prompt, address), never a secret."""

    def open(self, *, threads: int) -> AbstractContextManager[Session]:
        """Load or connect; on exit free all memory."""


def is_teacher(model: object) -> TypeGuard[Teacher]:
    """Return whether `model` is a teacher, which is asked, rather than a model that is run here."""
    return hasattr(model, "open") and hasattr(model, "identity")


TeacherSource = Union[Teacher, str, Path]
"""What `run` gets of a step's `teacher` field: a teacher, or the Hub id or folder of a model that vLLM is to run."""
