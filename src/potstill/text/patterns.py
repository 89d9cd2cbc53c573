r"""Regular expressions that a user gives, applied to arbitrary texts, within a limit of time.

They are written and checked as Python's `re` reads them. They are matched by `regex`, which can stop: some patterns,
such as `(a|aa)+b`, take longer with each letter than the age of the universe, on a text that merely almost matches.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import regex

SECONDS = 2.0
"""Processor time that one text may take."""
_T = TypeVar("_T")
_TOKEN = re.compile(
    r"\\N\{[^}]*\}|\\."  # what is escaped
    r"|(?P<brackets>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<brace>\{(?!\d+(?:,\d*)?\}|,\d*\}))",  # a brace that repeats nothing
    re.DOTALL,
)


class SlowPattern(ValueError):
    """A pattern takes too long on a text."""


class Pattern:
    """A regular expression with a limit of time."""

    def __init__(self, text: str) -> None:
        import regex

        named = re.compile(text)
        self.text = text
        """The pattern as it was given."""
        self.names = tuple(named.groupindex)
        """The names of its groups."""
        self.groups = named.groups
        """How many groups it has."""
        # V0: the version of its syntax that follows `re`
        self._compiled: regex.Pattern[str] = regex.compile(_for_regex(text), regex.V0)

    def fullmatch(self, text: str) -> regex.Match[str] | None:
        """Return the match of the whole of `text`.

        Raises:
            SlowPattern: it takes too long.
        """
        return self._limited(text, lambda: self._compiled.fullmatch(text, timeout=SECONDS))

    def search(self, text: str) -> regex.Match[str] | None:
        """Return the first match in `text`.

        Raises:
            SlowPattern: it takes too long.
        """
        return self._limited(text, lambda: self._compiled.search(text, timeout=SECONDS))

    def last(self, text: str) -> regex.Match[str] | None:
        """Return the last of the matches in `text` that don't overlap.

        Raises:
            SlowPattern: it takes too long.
        """
        matches = self._limited(text, lambda: list(self._compiled.finditer(text, timeout=SECONDS)))
        return matches[-1] if matches else None

    def _limited(self, text: str, match: Callable[[], _T]) -> _T:
        """Return what `match` returns."""
        try:
            return match()
        except TimeoutError:
            raise SlowPattern(
                f"the pattern {self.text!r} takes more than {SECONDS:g} s on the text {text!r:.80}: write it so that "
                "no repeated part can match one text in several ways"
            ) from None


@functools.lru_cache(maxsize=128)
def pattern(text: str) -> Pattern:
    """Return the pattern that `text` spells.

    Raises:
        re.error: it is none.
    """
    return Pattern(text)


def pattern_problem(text: str) -> str:
    """Return why `text` is no regular expression, or nothing."""
    try:
        re.compile(text)
    except re.error as error:
        return f"{text!r} is no regular expression ({error}): correct it"
    return ""


def _for_regex(text: str) -> str:
    r"""Return a pattern of `re` with what only `regex` would read as syntax escaped.

    >>> _for_regex(r"\\boxed{e}|x{2,3}|[[:alpha:]]")
    '\\\\boxed\\{e}|x{2,3}|[\\[:alpha:]]'
    """

    def escaped(token: re.Match[str]) -> str:
        if token["brace"]:
            return r"\{"  # `x{e}` is fuzzy matching
        if token["brackets"]:
            return "[" + re.sub(r"(\\.)|\[", lambda part: part[1] or r"\[", token[0][1:], flags=re.DOTALL)
        return token[0]

    return _TOKEN.sub(escaped, text)
