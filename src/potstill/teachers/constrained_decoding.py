"""Holding a response to a form while it is decoded: which tokens may come next.

A form is a small automaton over tokens (Willard and Louf 2023, arXiv 2307.09702, section 3). Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from potstill.errors import MissingExtra
from potstill.teachers.protocol import Structured

if TYPE_CHECKING:
    from potstill.models.protocols import Tokenizer


class Form(Protocol):
    """What one response is held to."""

    def mask(self, logits: Tensor) -> None:
        """Set the `logits` [V] of tokens that may not come next to minus infinity, in place."""

    def accept(self, token: int) -> None:
        """Go on by `token`, which does not end the response."""


@dataclass
class Choice:
    """One of several texts, each as its own tokens and one of `ends`."""

    texts: list[list[int]]
    """Their tokens."""
    ends: list[int]
    """Tokens that may end the response."""
    written: list[int] = field(default_factory=list)
    """Tokens so far."""

    def mask(self, logits: Tensor) -> None:
        """Leave what continues one of the texts."""
        place = len(self.written)
        fitting = [ids for ids in self.texts if ids[:place] == self.written]
        allowed = {ids[place] for ids in fitting if len(ids) > place}
        allowed |= set(self.ends) if any(len(ids) == place for ids in fitting) else set()
        forbidden = torch.ones_like(logits, dtype=torch.bool)
        forbidden[sorted(allowed)] = False
        logits[forbidden] = -torch.inf

    def accept(self, token: int) -> None:
        """Go on by `token`."""
        self.written.append(token)


@dataclass
class Grammar:
    """A grammar that xgrammar has compiled (Dong et al. 2024, arXiv 2411.15100)."""

    matcher: Any
    """Where the response is in the grammar."""
    bits: Tensor
    """One bit a token, reused."""

    def mask(self, logits: Tensor) -> None:
        """Leave what the grammar allows."""
        self.matcher.fill_next_token_bitmask(self.bits)
        words = self.bits[0].to(logits.device)
        # the mask has 32 tokens in an int32, the lowest bit first; xgrammar sets the bits of those that may come
        allowed = (words[:, None] >> torch.arange(32, device=logits.device)) & 1
        logits[allowed.flatten()[: len(logits)] == 0] = -torch.inf

    def accept(self, token: int) -> None:
        """Go on by `token`."""
        self.matcher.accept_token(token)


class Forms:
    """Compiles each form once."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, ends: Iterable[int]) -> None:
        """Make forms for a model that gives logits for `vocabulary` tokens and ends a response by one of `ends`."""
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = sorted(ends)
        self._compiler: Any = None
        self._compiled: dict[Structured, Any] = {}

    def form(self, wanted: Structured) -> Form:
        """Return a form at its start.

        Raises:
            MissingExtra: a schema or an expression is wanted, and xgrammar is not installed.
            ValueError: it can't be compiled.
        """
        if wanted not in self._compiled:
            self._compiled[wanted] = self._texts(wanted) if wanted.choice else self._grammar(wanted)
        compiled = self._compiled[wanted]
        if wanted.choice:
            return Choice(compiled, self._ends)
        import xgrammar

        return Grammar(xgrammar.GrammarMatcher(compiled), xgrammar.allocate_token_bitmask(1, self._vocabulary))

    def _texts(self, wanted: Structured) -> list[list[int]]:
        """Return the tokens of the choices."""
        return list(self._tokenizer(list(wanted.choice), add_special_tokens=False)["input_ids"])

    def _grammar(self, wanted: Structured) -> Any:
        """Compile a JSON schema or a regular expression."""
        try:
            import xgrammar
        except ModuleNotFoundError as error:
            raise MissingExtra("a response held to json_schema or regex", "xgrammar", "cpu") from error
        if self._compiler is None:
            info = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=self._vocabulary, stop_token_ids=self._ends
            )
            # one thread: the executor has shared out the cores
            self._compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        try:
            if wanted.json_schema:
                return self._compiler.compile_json_schema(wanted.json_schema)
            return self._compiler.compile_regex(wanted.regex)
        except RuntimeError as error:
            raise ValueError(f"{wanted.json_schema or wanted.regex!r:.200} can't be compiled: {error}") from error
