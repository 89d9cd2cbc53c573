"""Whether an answer is the right one, holds it, or has a form: exact match, contains, regular expression."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar, Literal

from potstill.metrics.answers import exact_match
from potstill.metrics.measures.measure import Gold, Measure, Row, best, with_options
from potstill.text.patterns import pattern
from potstill.text.words import fold, phrase_pattern

Ignored = Literal["case", "punctuation", "space", "articles"]
"""A difference between two texts that may be no difference."""
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)


def normalized(text: str, ignore: tuple[Ignored, ...] = ()) -> str:
    """Return `text` without the differences in `ignore`, and without outer space.

    - `case`: Unicode's case folding, and characters in one form (NFKC);
    - `punctuation`: every character of Unicode's categories P*, in any script;
    - `articles`: "a", "an" and "the", of English alone;
    - `space`: runs of white space are one space.

    With all four it is the normalization of P. Rajpurkar, J. Zhang, K. Lopyrev and P. Liang, "SQuAD: 100,000+ questions
    for machine comprehension of text" (2016, arXiv 1606.05250), section 6.1, for any script.

    >>> normalized(" The  Köln, CATHEDRAL! ", ("case", "punctuation", "articles", "space"))
    'köln cathedral'
    """
    if "case" in ignore:
        text = fold(text)
    if "punctuation" in ignore:
        text = "".join(mark for mark in text if not unicodedata.category(mark).startswith("P"))
    if "articles" in ignore:
        text = _ARTICLES.sub(" ", text)
    if "space" in ignore:
        text = " ".join(text.split())
    return text.strip()


@dataclass(frozen=True)
class ExactMatch(Measure):
    """Whether the answer is a right one: the same text but for outer space, or the same JSON value.

    >>> ExactMatch().per_row('{"a": 1, "b": 2}', '{"b":2,"a":1.0}', {})
    1.0
    >>> ExactMatch().per_row("Paris.", "paris", {})
    0.0
    >>> ExactMatch(ignore=("case", "punctuation")).per_row("Paris.", ["Lutetia", "paris"], {})
    1.0
    """

    is_share: ClassVar[bool] = True

    ignore: tuple[Ignored, ...] = ()
    """Differences that are none: `case`, `punctuation`, `space`, and the English `articles`."""
    json: bool = True
    """Whether two spellings of one JSON value are the same."""

    @property
    def name(self) -> str:
        """`exact_match`, with the options."""
        return with_options("exact_match", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if the answer is one of the right ones, else 0."""
        return best(self._same, answer, gold)

    def _same(self, answer: str, gold: str) -> bool:
        if self.json and exact_match(answer, gold):
            return True
        return normalized(answer, self.ignore) == normalized(gold, self.ignore)


@dataclass(frozen=True)
class Contains(Measure):
    """Whether a right answer stands in the answer, as whole words.

    It favours long answers: one that names everything holds the right one too.

    >>> Contains().per_row("It is Paris, I think.", "paris", {}), Contains().per_row("Parisian", "Paris", {})
    (1.0, 0.0)
    """

    is_share: ClassVar[bool] = True

    ignore: tuple[Ignored, ...] = ("case", "space")
    """Differences that are none, as in `ExactMatch`."""
    words: bool = True
    """Whether it must stand there as whole words; in scripts without spaces, any place is the edge of one."""

    @property
    def name(self) -> str:
        """`contains`, with the options."""
        return with_options("contains", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if one of the right answers stands in the answer, else 0."""
        return best(self._holds, answer, gold)

    def _holds(self, answer: str, gold: str) -> bool:
        wanted, text = normalized(gold, self.ignore), normalized(answer, self.ignore)
        if not wanted or wanted not in text:  # an empty right answer stands nowhere, rather than everywhere
            return not wanted and not text
        import regex

        return not self.words or regex.search(phrase_pattern(wanted), text) is not None


@dataclass(frozen=True)
class Matches(Measure):
    r"""Whether a regular expression matches the answer, whatever the right one is.

    >>> Matches(r"\d{4}-\d{2}-\d{2}").per_row("on 2026-11-30", "", {})
    1.0
    """

    is_share: ClassVar[bool] = True
    needs_gold: ClassVar[bool] = False

    pattern: str
    """As Python's `re` reads it; it has two seconds for an answer, and one that takes longer is a failure."""
    whole: bool = False
    """Whether the whole answer, but for outer space, must match."""

    def __post_init__(self) -> None:
        """Refuse what is no regular expression.

        Raises:
            re.error: it can't be read.
        """
        pattern(self.pattern)

    @property
    def name(self) -> str:
        """`matches`, with the pattern."""
        return with_options("matches", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if the pattern matches, else 0.

        Raises:
            SlowPattern: it takes too long.
        """
        compiled = pattern(self.pattern)
        return float((compiled.fullmatch(answer.strip()) if self.whole else compiled.search(answer)) is not None)
