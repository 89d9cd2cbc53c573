"""Heuristic rules that an instruction must pass: length, words, beginning (Wang et al. 2023, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from potstill.text.words import chunks_of, phrase_pattern

BLOCKED_WORDS = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
    "go to",
)
"""Words of tasks that a model of text alone can't do (section 2.2 and the paper's code)."""
BLOCKED_STARTS = ("Write a program",)
"""Beginnings that teachers fall into, and whose tasks take more than an answer (the paper's code)."""


@dataclass(frozen=True)
class Rules:
    """Rules for a single instruction, independent of the pool."""

    min_words: int = 4
    """Fewest words."""
    max_words: int = 150
    """Most words."""
    blocked_words: Sequence[str] = BLOCKED_WORDS
    """Whole words or phrases that it must not have, in either case."""
    blocked_starts: Sequence[str] = BLOCKED_STARTS
    """What it must not start with."""
    plain_start: bool = True
    """Whether it must start with a letter or a digit, of any script (the paper's code: an ASCII one)."""

    def objection(self, text: str) -> str:
        """Return why an instruction is not wanted, or an empty string.

        >>> Rules().objection("Draw a map of the old town")
        'blocked word'
        """
        words = len(chunks_of(text))
        if words < self.min_words:
            return "too short"
        if words > self.max_words:
            return "too long"
        if self._blocked and self._blocked.search(text):
            return "blocked word"
        if self.blocked_starts and text.startswith(tuple(self.blocked_starts)):
            return "blocked beginning"
        return "starts with punctuation" if self.plain_start and not text[:1].isalnum() else ""

    @cached_property
    def _blocked(self) -> Any:
        """Return the compiled pattern of all blocked words, or None without any."""
        import regex

        words = "|".join(map(phrase_pattern, self.blocked_words))
        return regex.compile(words, regex.IGNORECASE) if words else None
