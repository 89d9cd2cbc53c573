"""Rows as a table of a terminal's width: what acts on a terminal is written out, what is cut says how much."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence

from potstill.engine.terminal import plain as inert
from potstill.looking.rows import Excerpt, plain

NARROWEST = 10
"""Letters that a column has at least, if its texts are that long; what then does not fit is left out and named."""
BETWEEN = 2
"""Spaces between two columns."""


def table(excerpt: Excerpt, width: int) -> str:
    """Return an excerpt as lines of at most `width` columns of a terminal."""
    names = list(excerpt.columns)
    most = max(1, (width + BETWEEN) // (NARROWEST + BETWEEN))
    columns = {name: [inert(name), *(_text(row.get(name), width) for row in excerpt.rows)] for name in names[:most]}
    widths = _widths([max(map(_wide, texts)) for texts in columns.values()], width)
    lines = [
        (" " * BETWEEN).join(_cell(text, size) for text, size in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns.values(), strict=True)
    ]
    rule = (" " * BETWEEN).join("-" * size for size in widths)
    return "\n".join([*lines[:1], rule, *lines[1:], *_below(excerpt, names[most:])])


def _below(excerpt: Excerpt, left_out: Sequence[str]) -> Iterator[str]:
    """Yield what is said below a table: how many rows there are, and which columns it lacks."""
    of = excerpt.total if excerpt.matching is None else excerpt.matching
    fitting = "" if excerpt.matching is None else f" that meet the condition, of {excerpt.total:,} in all"
    yield f"{len(excerpt.rows):,} of {of:,} rows{fitting}"
    if left_out:
        yield f"columns that don't fit (--json has them): {', '.join(left_out)}"


def _text(value: object, width: int) -> str:
    """Return a cell in one line: its first letters, and how many more there are."""
    whole = value if isinstance(value, str) else _written(value)
    # a line has room for `width` letters: what is beyond is only counted, however long it is
    text = inert(whole[: width + 1].replace("\n", "\\n").replace("\t", "\\t"))
    return text if len(whole) <= width + 1 else f"{text}\0{len(whole) - width - 1}"


def _written(value: object) -> str:
    """Return a value that is no text: an empty cell as nothing, lists and dicts as JSON."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(plain(value), ensure_ascii=False)


def _wide(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    shown, _, more = text.partition("\0")
    return sum(map(_size, shown)) + int(more or 0)


def _size(letter: str) -> int:
    """Return how many columns of a terminal a letter takes: none if it is drawn over the one before."""
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _cell(text: str, size: int) -> str:
    """Return a cell of exactly `size` columns; a cut one ends in `… +N`, the letters that are not shown."""
    wide = _wide(text)
    if wide <= size:
        return text + " " * (size - wide)
    shown, _, more = text.partition("\0")
    visible, taken = "", 0
    mark = f"…+{len(shown) + int(more or 0):,}"
    for letter in shown:
        # the room for the mark is that of the longest that may be needed
        if taken + _size(letter) + len(mark) > size:
            break
        visible, taken = visible + letter, taken + _size(letter)
    mark = f"…+{len(shown) - len(visible) + int(more or 0):,}"
    return (visible + mark)[:size] + " " * max(0, size - taken - len(mark))


def _widths(wanted: Sequence[int], width: int) -> list[int]:
    """Return the width of each column: what it wants, or an equal share of what those that want less leave."""
    room = width - BETWEEN * (len(wanted) - 1)
    widths = [0] * len(wanted)
    for place, (want, number) in enumerate(sorted((want, number) for number, want in enumerate(wanted))):
        widths[number] = max(1, min(want, room // (len(wanted) - place)))
        room -= widths[number]
    return widths
