"""Numbers and lists as people read them; `None` is a dash."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from potstill.models.licences import named

NONE = "\u2013"
"""Stands for what was not, or can't be, measured."""
MINUS = "\u2212"
"""Minus sign, as long as a plus."""
_PLACE = re.compile(r"~?/[^/\n]+(/[^/\n*?{}<>|\"\\]+)+/?|\w+://\S+")
"""A whole path from the root, or an address."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def percent(share: float | None, digits: int = 1) -> str:
    """Return e.g. `95.2 %`."""
    return NONE if share is None else f"{100 * share:.{digits}f}\u202f%"


def interval(low: float | None, high: float | None) -> str:
    """Return e.g. `92.8 to 96.9`, in percent."""
    return NONE if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def size(count: float | None) -> str:
    """Return bytes in decimal units with three digits, e.g. `1.64 MB`."""
    if count is None:
        return NONE
    step = 0
    while count >= 999.5 and step < len(_UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{_three(count) if step else f'{count:.0f}'}\u202f{_UNITS[step]}"


def round_size(count: float) -> str:
    """Return bytes without needless zeros, for the ticks of an axis, e.g. `20 MB`."""
    step = min(max(math.floor(math.log10(count) / 3 + 1e-9), 0), len(_UNITS) - 1)
    return f"{count / 1000**step:g}\u202f{_UNITS[step]}"


def count(number: int | None) -> str:
    """Return e.g. `12,345`."""
    return NONE if number is None else f"{number:,}"


def short_count(number: float | None) -> str:
    """Return e.g. `1.05 M`."""
    if number is None:
        return NONE
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{_three(number / limit)}\u202f{letter}"
    return f"{number:.0f}"


def decimal(number: float | None) -> str:
    """Return a plain number: with three digits where it is small, without decimals where it is large."""
    if number is None:
        return NONE
    return f"{number:,.0f}" if number >= 100 else _three(number)


def signed(number: float) -> str:
    """Return a number with its sign and one decimal, e.g. `+0.7`; 0 has none.

    >>> signed(0.66), signed(-0.04)
    ('+0.7', '0.0')
    """
    text = f"{abs(number):.1f}"
    return text if text == "0.0" else f"{'+' if number > 0 else MINUS}{text}"


def times(ratio: float | None) -> str:
    """Return e.g. `12.3` and a multiplication sign."""
    return NONE if ratio is None else f"{decimal(ratio)}\u00d7"


def seconds(number: float | None) -> str:
    """Return e.g. `0.42 s` or `3 min 20 s`."""
    if number is None:
        return NONE
    if number < 60:
        return f"{number:.2f}\u202fs" if number < 10 else f"{number:.0f}\u202fs"
    whole = round(number)
    return f"{whole // 60}\u202fmin {whole % 60}\u202fs"


def plain(value: object, longest: int = 160) -> str:
    """Return a parameter as JSON, texts without quotes, cut after `longest` characters.

    A report is handed on: of paths only the names are shown, of addresses no secret; what lies in Potstill or in the
    working directory is named from there.
    """
    shown = _handed_on(value)
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, sort_keys=True, default=str)
    return cut(text, longest)


def listing(parts: Iterable[str]) -> str:
    """Return texts as a sentence lists them.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    every = list(parts)
    mark = "; " if any(", " in part for part in every) and len(every) > 2 else ", "
    return " and ".join(filter(None, (mark.join(every[:-1]), every[-1]))) if every else ""


def _handed_on(value: object) -> object:
    """Return a parameter in which no text says where something lies on this machine."""
    if isinstance(value, Mapping):
        return {str(name): _handed_on(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_handed_on(inner) for inner in value]
    text = str(value) if isinstance(value, PurePath) else value
    if not isinstance(text, str) or not _PLACE.fullmatch(text):
        return text
    for here in (Path(__file__).parents[2], Path.cwd()):
        if text.startswith(f"{here}/"):
            return text.removeprefix(f"{here}/")
    return named(text)


def cut(text: str, longest: int) -> str:
    """Return `text`, or its beginning and an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _three(number: float) -> str:
    return f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
