"""The score that an answer gives, or that it does not give one for certain."""

# ruff: noqa: RUF001 - words and marks of many scripts look like others

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from potstill.text.negation import NEGATION
from potstill.text.reasoning import after_thoughts

_NUMBER = re.compile(r"(?<![\w.,/])(?<!\d[-–:])-?\d{1,12}(?:\.\d{1,12})?(?![\w/%]|[.,:]\d|[-–]\d)")
"""A number that is no part of a word, a date, a range, a share or a longer number."""
_ANY_DIGIT = re.compile(r"\d")
_LAST_LINE = re.compile(
    r"(?:(?:final|overall|total|my)\s)?(?:score|rating|grade|mark|note|bewertung|punktzahl|puntuación|nota|punteggio|"
    r"оценка|评分|得分|分数|スコア|점수)\s{0,3}(?:is|ist|est|es|è|是|は|[:=])?\s{0,3}(-?\d{1,12}(?:\.\d{1,12})?)\.?",
    re.IGNORECASE,
)
_FINAL = re.compile(r"(?:final|overall|total)\b", re.IGNORECASE)
_BOUNDS = re.compile(
    r"(?:\b(?:at (?:least|most)|(?:more|less|higher|lower|better|worse|greater|fewer) than|over|under|above|below|"
    r"up to|minimum|maximum|mindestens|höchstens|über|unter|au moins|al menos)|[<>≤≥])\s{0,3}-?\d"
    r"|\d\s?(?:\+|or (?:more|less|higher|lower))|\b(?:if|would be|could be|might be|unless)\b",
    re.IGNORECASE,
)
"""A number that only bounds the score, or that somebody might give."""
_MARKUP = str.maketrans(dict.fromkeys('*_`"[](){}#', " "))
_POINTS = r"(?:points?|punkten?|punkte|分|点|점)"


@dataclass(frozen=True)
class ScoreReader:
    """Reads a score of a scale.

    >>> ScoreReader(1, 10).read("Score: 7/10")
    7.0
    """

    low: int
    """Worst score."""
    high: int
    """Best score."""

    def read(self, text: str) -> float:
        """Return the score that an answer gives.

        It is the only number in the answer, the scale left out, or the number of the last line if that is all of it
        ("Final score: 8").

        Raises:
            ValueError: it gives none, several, or one that is not on the scale.
        """
        answer = unicodedata.normalize("NFKC", after_thoughts(text)).translate(_MARKUP)
        plain = self._without_scale(answer).strip()
        plain = re.sub(r"\A(\d{1,12}),(\d{1,3})\.?\Z", r"\1.\2", plain)
        lines = [_LAST_LINE.fullmatch(line.strip()) for line in plain.split("\n")]
        given = {float(line[1]) for line in lines if line}
        if lines[-1] and (len(given) == 1 or _FINAL.match(lines[-1].string)):
            return self._on_scale(float(lines[-1][1]))
        numbers = {float(number) for number in _NUMBER.findall(plain)}
        others = _ANY_DIGIT.search(_NUMBER.sub("", plain))
        if len(numbers) != 1 or others:
            raise ValueError(f"holds {'several' if others else len(numbers) or 'no'} numbers where one score is wanted")
        if NEGATION.search(plain[: _first_number(plain)].rsplit(". ", 1)[-1]) or _BOUNDS.search(plain):
            raise ValueError("names a number without giving it as the score")
        return self._on_scale(numbers.pop())

    def _without_scale(self, text: str) -> str:
        """Return a text without "/10", "out of 10" and "on a scale of 1 to 10"."""
        best = rf"{self.high}(?:\.0+)?(?![\d.]\d|\d)"
        span = rf"{self.low}\s{{0,3}}(?:to|and|bis|und|à|et|a|y|до|到|~|-|–)\s{{0,3}}{best}"
        lead = (
            r"(?:\b(?:on|from|of|in)\s{1,3})?(?:\b(?:a|the)\s{1,3})?\b(?:scale|range)\s{1,3}(?:of|from|between)?\s{0,3}"
        )
        lead = rf"(?:{lead}|\b(?:between|from|von|zwischen|de|entre)\s{{1,3}})"
        share = r"(?:/|\b(?:out\s{1,3}of|of|von|sur|de|su|из|van|av)\b)"
        scale = rf"{lead}{span}\s{{0,3}}[:,]?|(?<=\d)\s{{0,3}}(?:{_POINTS}\s{{0,3}})?{share}\s{{0,3}}{best}"
        return re.sub(rf"{scale}|(?<=\d)\s?{_POINTS}", " ", text, flags=re.IGNORECASE)

    def _on_scale(self, value: float) -> float:
        """Return a score.

        Raises:
            ValueError: it is not on the scale.
        """
        if not self.low <= value <= self.high:
            raise ValueError(f"the score {value:g} is not within {self.low} to {self.high}")
        return value


def _first_number(text: str) -> int:
    """Return where the first number begins."""
    found = _NUMBER.search(text)
    return found.start() if found else 0
