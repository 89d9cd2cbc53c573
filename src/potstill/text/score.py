"""The score that an answer gives, or that it does not give one for certain.

A number in an answer may count, date, bound or deny something instead of scoring it. So it is a score only where it is
the whole answer, where it opens the answer and is set off from the rest, or where a phrase such as "I give it" or
"Helpfulness:" leads to it. All else is asked again.
"""

# ruff: noqa: RUF001 - words and marks of many scripts look like others

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from potstill.text.negation import BECAUSE, NEGATION, OPEN, TAKES_BACK, TURN
from potstill.text.reasoning import after_thoughts

_N = r"-?\d{1,12}(?:\.\d{1,12})?"
_LETTER = r"[^\W\u2e80-\uffdc]"
_NUMBER = re.compile(rf"(?<!{_LETTER})(?<![.,/])(?<!\d[-–:]){_N}(?!{_LETTER}|[/%]|[.,:]\d|[-–]\d)")
"""A number that is no part of a word, a date, a range, a share or a longer number."""
_ANY_DIGIT = re.compile(r"\d")
_NOUN = (
    r"(?:score|rating|grade|mark|note|bewertung|punktzahl|puntuación|calificación|nota|punteggio|voto|pontuação|"
    r"оценка|评分|得分|分数|スコア|評価|点数|점수|평점)"
)
_LAST_LINE = re.compile(
    rf"(?:(?:final|overall|total|my)\s)?{_NOUN}\s{{0,3}}(?:is|ist|est|es|è|é|是|は|[:=])?\s{{0,3}}({_N})\.?",
    re.IGNORECASE,
)
_FINAL = re.compile(r"(?:final|overall|total)\b", re.IGNORECASE)
_LEAD = re.compile(
    rf"(?:{_NOUN}|\b(?:give|gave|rate|rated|score|scored|grade|award|assign|deserves|earns|gets|gebe|vergebe|bewerte|"
    r"donne|attribue|doy|otorgo|do|assegno|dou|ставлю|даю)|"
    r"(?<!\w)(?:i'd say|i would say|it's|that's|is|are|ist|est|es|è|é)"
    r"|给|給|打|为|は|[\w)>\]]\s?[:=>→]|[\w)]\s[—–]\s)"
    r"\s{0,3}(?:(?:it|this|that|them|the|a|an|one|text|answer|response|summary|instruction|review|essay|story|dem|der|"
    r"ihm|ihr|ihnen|den|"
    r"die|das|eine|ein|le|la|un|une|el|una|lo|il|o|ему|ей|is|ist|est|es|è|é|be|would be|should be|with|of|at|as|mit|"
    r"overall|clear|solid|strong|是|为|は)\b[,:]?\s{1,3}){0,4}(?:[:=]\s{0,3})?\Z",
    re.IGNORECASE,
)
"""A phrase that says what the score is, up to the number."""
_FILLED = re.compile(
    r"(?:a|an|definitely|clearly|certainly|solid|strong|clear|weak|so|thus|therefore|hence|overall|about)\b[,:]?\s{1,3}",
    re.IGNORECASE,
)
"""A word that may stand alone before a score."""
_COUNTS = re.compile(
    r"\b(?:errors?|mistakes?|flaws?|issues?|faults?|typos?|numbers?|counts?|words?|sentences?|pages?|steps?|items?|"
    r"questions?|points? (?:off|lost)|deduct\w*|deductions?|penalty|minus|max\w*|min\w*|chapter|versions?|year|age|"
    r"threshold|scale|best|worst|fehler|erreurs?|errores|errori)\W{0,4}(?:is|are|of)?\W{0,4}\Z",
    re.IGNORECASE,
)
"""What a number counts that scores nothing."""
_STOPS = re.compile(
    rf"\s{{0,3}}(?:\Z|[.,;!)\n…。<]|\s?[—–]|\s-\s|\s\(|\s(?:overall|i (?:think|guess)|{BECAUSE.pattern}))",
    re.IGNORECASE,
)
"""What may follow a score."""
_LISTED = re.compile(r"[.):]\s{1,9}\S")
"""What follows the number of a list's item."""
_BOUNDS = re.compile(
    r"\b(?:at (?:least|most|best|worst)|(?:more|less|higher|lower|better|worse|greater|fewer) than|over|under|above|"
    r"below|up to|minimum|maximum|mindestens|höchstens|über|unter|au moins|al menos)\b|[<≤≥]|>\s{0,3}-?\d"
    r"|\d\s?(?:\+|or (?:more|less|higher|lower)|and (?:up|more|above|below)|以上|以下|未満|이상|이하)"
    r"|\b(?:if|would be (?:too|generous|harsh)|could be|might be|unless)\b",
    re.IGNORECASE,
)
"""A number that only bounds the score, or that somebody might give."""
_MARKUP = str.maketrans(dict.fromkeys('*_`"[]{}#', " "))
_POINTS = r"(?:points?\b|punkten?\b|punkte\b|stars?\b|sterne\b|分|点|점)"
_SHARED = "\N{BULLET OPERATOR}"
"""Stands behind a number for the "/10" that followed it, which no other number than a score has."""
_COUNTED = re.compile(
    rf"{_SHARED}\s{{1,3}}(?:of the\s{{1,3}})?(?!(?:as|is|was|this|its|has|less|thus|yes)\b)"
    rf"(?:{_LETTER}{{2,30}}(?:s|ia)|people)\b"
    r"(?:\s{1,3}(?:are|were|is|was|have|had|do|did|met|in|pass\w*|agree\w*|fail\w*|correct\w*|satisf\w*|fulfil\w*|"
    r"say|think)\b|[.!]?\Z)",
    re.IGNORECASE,
)
"""What is counted where "7 of 10" is a share of things and no score, as in "7 of 10 criteria are met"."""
_SIGN = re.compile(
    r"(?:^[ \t]{0,9}-[ \t]{1,9}|[:=]\s{0,9}-\s{1,9}|"
    r"\b(?:minus|negative|moins|menos|meno|minus|минус|eksi|mínus|negativ\w*)\s{1,9}"
    r"|(?:负|負|マイナス|마이너스)\s{0,9})(?=\d)",
    re.IGNORECASE | re.MULTILINE,
)
"""A sign that stands apart from its number, or is a word."""


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
            ValueError: it gives none, several, one that may be no score, or one that is not on the scale.
        """
        plain = self._without_scale(_plain(after_thoughts(text))).strip()
        plain = re.sub(r"\A(-?\d{1,12}),(\d{1,2})\.?\Z", r"\1.\2", plain)
        last = self._in_last_line(plain)
        if last is not None:
            return self._on_scale(last)
        numbers = list(_NUMBER.finditer(plain))
        others = _ANY_DIGIT.search(_NUMBER.sub("", plain))
        if len({float(number.group()) for number in numbers}) != 1 or others:
            raise ValueError(f"holds {'several' if others or numbers else 'no'} numbers where one score is wanted")
        if _BOUNDS.search(plain) or not any(_is_given(plain, number) for number in numbers):
            raise ValueError("names a number without giving it as the score")
        if any(_is_denied(plain, number) for number in numbers):
            raise ValueError("names a number and denies that it is the score, or leaves it open")
        return self._on_scale(float(numbers[0].group()))

    def _in_last_line(self, plain: str) -> float | None:
        """Return the number of the last line if that gives nothing but a score, and no line like it gives another."""
        lines = [line for line in (_LAST_LINE.fullmatch(_bare(line)) for line in plain.split("\n")) if line]
        last = _LAST_LINE.fullmatch(_bare(plain.rpartition("\n")[2]))
        if last is None:
            return None
        final = bool(_FINAL.match(last.string))
        rivals = {float(line[1]) for line in lines if not final or _FINAL.match(line.string)}
        return float(last[1]) if len(rivals) == 1 else None

    def _without_scale(self, text: str) -> str:
        """Return a text without "/10", "out of 10" and "on a scale of 1 to 10"."""
        best = rf"{self.high}(?:\.0+)?(?![\d.]\d|\d)"
        span = rf"{self.low}\s{{0,3}}(?:to|and|bis|und|à|et|a|y|до|到|~|-|–)\s{{0,3}}{best}"
        lead = (
            r"(?:\b(?:on|from|of|in)\s{1,3})?(?:\b(?:a|the)\s{1,3})?\b(?:scale|range)\s{1,3}(?:of|from|between)?\s{0,3}"
        )
        lead = rf"(?:{lead}|\b(?:between|from|von|zwischen|de|entre)\s{{1,3}})"
        share = r"(?:/|\b(?:out\s{1,3}of|of|von|sur|de|su|из|van|av)\b)"
        text = re.sub(rf"{lead}{span}\s{{0,3}}[:,]?", " ", text, flags=re.IGNORECASE)
        text = re.sub(
            rf"(?:\b(?:on|from)\s{{1,3}})?(?:\ban?\s{{1,3}})?(?<![\w.,/-]){span}(?![\w/-])(?:\s{{0,3}}scale\b[:,]?)?",
            " ",
            text,
            flags=re.IGNORECASE,
        )
        shared = rf"(?<=\d)\s{{0,3}}\(?(?:{_POINTS}\s{{0,3}})?{share}\s{{0,3}}{best}(?:\s{{0,3}}{_POINTS})?\)?"
        text = re.sub(shared, _SHARED, text, flags=re.IGNORECASE)
        return re.sub(rf"(?<=\d)\s?{_POINTS}", " ", text, flags=re.IGNORECASE)

    def _on_scale(self, value: float) -> float:
        """Return a score.

        Raises:
            ValueError: it is not on the scale.
        """
        if not self.low <= value <= self.high:
            raise ValueError(f"the score {value:g} is not within {self.low} to {self.high}")
        return value


def _plain(answer: str) -> str:
    """Return an answer with its characters in one form, its signs at their numbers, and without markup.

    Raises:
        ValueError: it holds digits that say something else than their value, as in "10²" and "8½".
    """
    odd = next((c for c in answer if not c.isascii() and c.isnumeric() and _is_raised(c)), None)
    if odd is not None:
        raise ValueError(f"holds {odd!r}, which is no plain number")
    text = unicodedata.normalize("NFKC", answer)
    text = re.sub(r"</\w{1,40}>", " ", re.sub(r"<(\w{1,40})>", r"\1: ", text))
    text = re.sub(r"\\(?:boxed|text(?:bf)?|mathbf)\b", " ", text)
    text = re.sub(r"(?<![\w.,%)])[\N{MINUS SIGN}‐‑‒–—](?=\d)", "-", text)
    return _SIGN.sub(lambda match: f"{match.group()[:1] if match.group()[0] in ':=' else ''} -", text).translate(
        _MARKUP
    )


def _is_raised(character: str) -> bool:
    """Return whether a character is a digit above or below the line, or a fraction."""
    return unicodedata.decomposition(character).startswith(("<super>", "<sub>", "<fraction>"))


def _bare(line: str) -> str:
    """Return a line without blanks around it, and without what stands for the scale."""
    return line.replace(_SHARED, "").strip()


def _is_given(text: str, number: re.Match[str]) -> bool:
    """Return whether a number is the answer, opens it, is followed by the scale, or is led to by a phrase."""
    before, after = text[max(0, number.start() - 200) : number.start()], text[number.end() :]
    line = before.rpartition("\n")[2]
    if after.startswith(_SHARED):
        return not _COUNTED.match(after)
    if not _STOPS.match(after):
        return False
    if not _FILLED.sub("", line).strip(" ("):
        opens = not before.strip(" (") or bool(_FILLED.match(line))
        return not after.strip(" .!)") or (opens and not _LISTED.match(after))
    return bool(_LEAD.search(line)) and not _COUNTS.search(line)


def _is_denied(text: str, number: re.Match[str]) -> bool:
    """Return whether what stands around a number denies it, turns against it or leaves it open."""
    before = text[: number.start()].rpartition("\n")[2].rsplit(". ", 1)[-1]
    rest = text[number.end() :].lstrip(_SHARED + " ")
    claim = BECAUSE.split(re.split(r"[,;(!\n]|\.\s|\s[-—–]", rest, maxsplit=1)[0], maxsplit=1)[0]
    doubted = rest.startswith("?") or TURN.match(rest.lstrip(" ,;")) or TAKES_BACK.search(rest)
    return bool(NEGATION.search(before) or OPEN.search(before) or NEGATION.search(claim) or doubted)
