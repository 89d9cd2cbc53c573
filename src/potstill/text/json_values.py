"""The JSON values in a response: the whole of it, or what stands among words. Time is linear in the text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from potstill.text.reasoning import after_thoughts

_WHOLE_FENCE = re.compile(r"(?:```|~~~)[\w+-]*[ \t]*\n?(.*?)(?:```|~~~)?", re.DOTALL)
_START = re.compile(r"\{(?=\s{0,99}[\"}])|\[(?=\s{0,99}[\"{\[\]\-\dtfn])")
"""What an object or a list may begin with."""
_SET_ASIDE = re.compile(
    r"(?:\b(?:not|never|instead of|rather than|wrong|incorrect|bad|invalid|drafts?|input|previous(?:ly)?|originally|"
    r"first (?:thought|draft|try|guess)|nicht|falsch|statt|pas|no|не)\b|不是|//|/\*|<!--|#)"
    r"(?:(?!\b(?:so|but|better|correct\w*|right|final\w*|instead|now)\b)[^.!?,;\n{}\[\]]){0,24}\Z",
    re.IGNORECASE,
)
"""What stands before a value that is not meant."""
_MAY_BE_HUGE = re.compile(r"[eE]\+?\d{3}")  # with a digit before it, the search takes five times as long
"""What a number has that is larger than any that a column holds; nobody writes out its 309 digits."""
MOST_WEIGHED = 100
"""Values beyond which it is not looked at what stands before them."""
MOST_BROKEN = 1000
"""Values that may begin and be no JSON; each takes the time of reading the text up to it."""


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON values that a response may mean, the likeliest first.

    If all of the text is JSON, or all of the answer after the model's thoughts, or all of the code block that this
    answer is, it is the only one. Otherwise they are the objects and lists in the answer, the last first, because
    drafts come before what is meant; those that a comment or a word such as "not" sets aside come at the very end.
    Thoughts hold none, and neither do parts of a value that is broken.

    Raises:
        ValueError: there is none, or the last one has no end.
    """
    try:
        yield load_json(text)
        return
    except ValueError:
        answer = after_thoughts(text).strip().removeprefix("\ufeff")
    fence = _WHOLE_FENCE.fullmatch(answer)
    for whole in (answer, fence.group(1) if fence else ""):
        try:
            yield load_json(whole)
            return
        except ValueError:
            continue
    yield from reversed(_values_among_words(answer))


def load_json(text: str) -> Any:
    """Return the JSON value that `text` is as a whole.

    Raises:
        ValueError: it is none, or nested too deep; NaN and the infinities, which Python reads, are none either.
    """
    try:
        return json.loads(text.strip().removeprefix("\ufeff"), parse_constant=_refuse, parse_float=float_of(text))
    except RecursionError as error:
        raise ValueError("JSON is nested too deep") from error


def float_of(text: str) -> Callable[[str], float] | None:
    """Return what reads the numbers with fractions in a JSON text as they are: Python makes infinity of 1e999.

    Nothing is to be given for most texts, in which none can be so large, because Python reads faster by itself.
    """
    return _finite if _MAY_BE_HUGE.search(text) else None


def _finite(digits: str) -> float:
    """Return a number.

    Raises:
        ValueError: it is larger than any that can be kept.
    """
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.40} is larger than any number that can be kept")
    return number


def _values_among_words(text: str) -> list[Any]:
    """Return the outermost objects and lists in a text: those that are set aside, then the others, each in order.

    Raises:
        ValueError: there is none, or the last one has no end.
    """
    constants: list[str] = []  # NaN and its like, and 1e999, which make the value that they are in none
    decoder = json.JSONDecoder(parse_constant=constants.append, parse_float=lambda digits: _or_noted(digits, constants))
    values: list[tuple[str, Any]] = []
    broken = end = 0
    last = len(text.rstrip(" \t\r\n`~"))
    place = _START.search(text)
    while place is not None:
        start = place.start()
        try:
            before = text[max(end, start - 60) : start]
            value, end = decoder.raw_decode(text, start)
            values += [] if constants else [(before, value)]
            constants.clear()
        except json.JSONDecodeError as error:
            broken += 1
            if error.msg.startswith("Unterminated string") or error.pos >= last or broken > MOST_BROKEN:
                raise ValueError(f"the JSON that begins with {text[start : start + 40]!r} has no end") from error
            constants.clear()
            end = max(start + 1, error.pos)  # what was read up to there are parts of a broken value
        except RecursionError as error:
            raise ValueError("JSON is nested too deep") from error
        place = _START.search(text, end)
    if not values:
        raise ValueError(f"holds no JSON: {text[:80]!r}")
    if 1 < len(values) <= MOST_WEIGHED:
        values.sort(key=lambda one: _SET_ASIDE.search(one[0]) is None)
    return [value for _, value in values]


def _or_noted(digits: str, odd: list[str]) -> float:
    """Return a number; one that can't be kept is noted among what is `odd`."""
    number = float(digits)
    if math.isinf(number):
        odd.append(digits)
    return number


def _refuse(name: str) -> None:
    """Refuse a constant that Python reads and JSON does not have."""
    raise ValueError(f"{name} is no JSON")
