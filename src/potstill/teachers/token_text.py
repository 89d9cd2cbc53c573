"""Tokens that a local engine wrote, as text in which thoughts are distinct from the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from potstill.text.reasoning import marks_in

if TYPE_CHECKING:
    from potstill.models.protocols import Tokenizer


@dataclass(frozen=True)
class TextDecoder:
    """Turns tokens into text without special tokens, but for those that mark thoughts in some models."""

    tokenizer: Tokenizer
    """The model's tokenizer."""

    @cached_property
    def _special(self) -> frozenset[int]:
        """Ids of special tokens that are no part of a text."""
        return frozenset([*self.tokenizer.all_special_ids, *_added(self.tokenizer)]) - self._marks

    @cached_property
    def _marks(self) -> frozenset[int]:
        """Ids of special tokens that mark thoughts."""
        special = _added(self.tokenizer)
        marks = marks_in(special.values())
        return frozenset(token for token, text in special.items() if text in marks)

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        if self._marks.isdisjoint(ids):
            return str(self.tokenizer.decode(ids, skip_special_tokens=True))
        plain = [token for token in ids if token not in self._special]
        return str(self.tokenizer.decode(plain, skip_special_tokens=False))


def _added(tokenizer: Tokenizer) -> dict[int, str]:
    """Return the tokens that were added to a tokenizer as special ones, by id."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return {int(token): str(one) for token, one in added.items() if getattr(one, "special", False)}
