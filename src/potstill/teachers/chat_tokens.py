"""Chats as tokens, and tokens as text: what a local engine reads, to write an answer or to score one, and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from potstill.models import chat
from potstill.teachers.protocol import Request, Response, with_system
from potstill.teachers.token_text import TextDecoder
from potstill.text.reasoning import opened_by

if TYPE_CHECKING:
    from potstill.models.protocols import Tokenizer


@dataclass(frozen=True)
class Encoded:
    """The tokens of one request."""

    ids: list[int]
    """Those of the chat up to where the assistant starts, and of the text to score."""
    scored: int = 0
    """How many of them, at the end, are the text to score and its end-of-turn token; 0 when a text is to be written."""
    opened: str = ""
    """The mark at the end of the prompt by which the chat template opens thoughts: the response begins inside them."""


@dataclass(frozen=True)
class Renderer:
    """Renders chats by the model's own template; the tokens are those that training and evaluation use."""

    tokenizer: Tokenizer
    """The model's tokenizer."""
    system: str
    """System prompt put before every chat."""
    thinking: bool | None
    """Whether the chat template lets the model think; None leaves it to the template."""
    limit: int
    """Tokens that the model takes, response included."""
    spare: int = 1
    """Tokens that must stay free behind tokens that are scored; -1 where the last of them is not read at all."""

    @cached_property
    def decoder(self) -> TextDecoder:
        """What turns the tokens of a response into text."""
        return TextDecoder(self.tokenizer)

    def encode(self, requests: Sequence[Request]) -> list[Encoded | Response]:
        """Return the tokens of each request, or why it can never be answered; many texts are tokenized at once."""
        texts = [self._given(request) if request.tokens is not None else self._text(request) for request in requests]
        prompts = iter(self._tokens([text for text in texts if isinstance(text, str)]))
        answers = iter(self._tokens([request.continuation for request in requests if request.continuation is not None]))
        encoded: list[Encoded | Response] = []
        for text, request in zip(texts, requests, strict=True):
            # as in `potstill.models.chat.encode`: the answer is tokenized by itself
            answer = [] if request.continuation is None else [*next(answers), chat.end_of_turn(self.tokenizer)]
            encoded.append(
                self._fitting(next(prompts), answer, _opened(text, request)) if isinstance(text, str) else text
            )
        return encoded

    def _given(self, request: Request) -> Encoded | Response:
        """Return a request of tokens, if the model takes them."""
        prompt, scored = list(request.tokens or ()), list(request.scored_tokens)
        if scored and len(prompt) + len(scored) + self.spare <= self.limit:
            return Encoded([*prompt, *scored], len(scored))
        return self._fitting(prompt, scored, "")

    def _text(self, request: Request) -> str | Response:
        """Return the text of the chat, or why its template refused it."""
        if request.raw is not None:
            return request.raw
        from potstill.prompts.values import UnfitRow

        try:
            return chat.text(self.tokenizer, with_system(self.system, request.messages), self.thinking)
        except UnfitRow as unfit:
            return refused(unfit.reason)

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Tokenize `texts`."""
        return list(self.tokenizer(texts, add_special_tokens=False)["input_ids"]) if texts else []

    def _fitting(self, prompt: list[int], answer: list[int], opened: str) -> Encoded | Response:
        """Return the tokens if the model takes them and one more."""
        if len(prompt) + len(answer) < self.limit:
            return Encoded([*prompt, *answer], len(answer), opened)
        what = f"the prompt has {len(prompt)} tokens" + (f" and the text to score {len(answer)}" if answer else "")
        return refused(
            f"{what}, and the model takes {self.limit} with at least one token of the response: shorten it, or raise "
            "max_model_length if the model allows more"
        )


def _opened(prompt: str, request: Request) -> str:
    """Return the mark by which a chat's prompt opens thoughts; what is held to a form has none in it."""
    free = request.raw is None and request.continuation is None and request.sampling.structured is None
    return opened_by(prompt) if free else ""


def refused(reason: str) -> Response:
    """Return the response for a request that can never be answered."""
    return Response(reason.strip(), "error", retryable=False)
