"""Parsers of free-form answers: lists, and records of labelled lines. Pure functions on text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from potstill.text.json_values import json_values

NUMBER = re.compile(
    r"\s*(?:(?P<digits>\*{0,2}(?:\(?\d{1,5}(?:[.):]{1,9}\*{0,2}(?:\s+|$|(?=[\u2e80-\uffdc]))|[、．：）]\*{0,2}\s*)"  # noqa: RUF001
    r"|[\u2460-\u2473]\s*))|[-*•](?:\s+|$))"
)
"""What a list item starts with; scripts without spaces write none behind it."""
_FENCE = re.compile(r"\s{0,9}(?:`{3,9}|~{3,9})[\w+-]{0,20}\s*")
_RULE = re.compile(r"\s{0,9}(?:[-*_]\s?){3,99}\s*")
"""Lines that are no part of what is written between them."""
INNER = re.compile(r"\s*(?:\(?\d{1,5}[.):]+|\(?[a-z]\)|[-*•])(?:\s+|$)")
"""What an item of a list within a list starts with, `b)` too."""
DEEPEST = 8
"""Levels of lists within lists whose numbers are taken off."""
HEADING = re.compile(r"\W{0,99}(?:example|instance|item)\s{0,9}#?\d{1,9}\W*", re.IGNORECASE)
"""A line that only says which example comes next."""


def parse_list(text: str) -> list[str]:
    r"""Return the items of a numbered or bulleted list; without one, each line is an item.

    Lines before the first number are talk, as is a paragraph behind the last item; another line without a number
    continues the item before it, and so do bullets in a list that begins with a number. A JSON list is one, too.

    >>> parse_list("Sure!\n9. Dim the\n lamp\n10) **Open the blinds**\n11. 1. Lock the door")
    ['Dim the lamp', 'Open the blinds', 'Lock the door']
    """
    listed = _json_list(text)
    if listed:
        return [item for item in map(one_line, listed) if item]
    lines = [line for line in text.splitlines() if not (_FENCE.fullmatch(line) or _RULE.fullmatch(line))]
    starts = [NUMBER.match(line) for line in lines]
    first = next(filter(None, starts), None)
    if first is None:
        return [item for item in map(bare, lines) if item]
    if first["digits"]:
        starts = [start if start and start["digits"] else None for start in starts]
    items: list[list[str]] = []
    for line, match in zip(_without_closing(lines, starts), starts, strict=False):
        if match:
            items.append([line[match.end() :]])
        elif items and line.strip():
            items[-1].append(line)
    return [item for item in (_unnumbered(" ".join(parts)) for parts in items) if item]


def _json_list(text: str) -> list[str]:
    """Return the texts of an answer that is a JSON list of them; nothing for another answer."""
    if not text.lstrip().startswith(("[", "```", "~~~")):
        return []
    try:
        value = next(json_values(text))
    except (ValueError, StopIteration):
        return []
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _without_closing(lines: list[str], starts: list[re.Match[str] | None]) -> list[str]:
    """Return lines without the paragraph that follows the last of several items: it is said of the list."""
    last = max(place for place, start in enumerate(starts) if start)
    if sum(map(bool, starts)) < 2:
        return lines
    gap = next((place for place in range(last, len(lines)) if not lines[place].strip()), len(lines))
    behind = next((place for place in range(gap, len(lines)) if lines[place].strip()), len(lines))
    return lines[:gap] if behind < len(lines) and not lines[behind][0].isspace() else lines


def parse_records(text: str, names: Iterable[str]) -> list[dict[str, str]]:
    r"""Return the records of lines such as `Input: ...`; a name that comes again starts the next record.

    A value goes on until the next name or a heading such as `Example 2`; what stands before the first name is dropped.

    >>> parse_records("Example 1\nInput: 2 + 2\nOutput: 4\n\n**Input:** 1 +\n1\nOutput: 2", ["input", "output"])
    [{'input': '2 + 2', 'output': '4'}, {'input': '1 +\n1', 'output': '2'}]
    """
    wanted = "|".join(re.escape(name) for name in names)
    number = r"(?:\(?\d{1,5}[.):、．]{1,2}[\s*_]{0,9})?"  # noqa: RUF001 - as Chinese and Japanese write it
    label = re.compile(
        rf"[\s#*_>-]{{0,99}}{number}[`\"]?({wanted})[`\"]?[\s*_]{{0,99}}[:：][*_]{{0,9}}[ \t]*(.*)",  # noqa: RUF001
        re.IGNORECASE,
    )
    records: list[dict[str, list[str]]] = [{}]
    current = ""
    for line in text.splitlines():
        match = label.fullmatch(line)
        if match:
            current = match[1].lower()
            if current in records[-1]:
                records.append({})
            records[-1][current] = [match[2]]
        elif HEADING.fullmatch(line):
            current = ""
            records += [{}] if records[-1] else []
        elif current:
            records[-1][current].append(line)
    return [{name: "\n".join(lines).strip() for name, lines in record.items()} for record in records if record]


def _unnumbered(text: str) -> str:
    """Return an item without further numbers before it: lists within lists have one for each level."""
    item = bare(text)
    # bounded, because a text of nothing but list marks would be quadratic
    for _ in range(DEEPEST):
        match = INNER.match(item)
        if match is None or match.end() == len(item):
            break
        item = bare(item[match.end() :])
    return item


def bare(text: str) -> str:
    """Return a text on one line, without the quotes or emphasis around it.

    >>> bare('  **"Dim   the lamp"** ')
    'Dim the lamp'
    """
    plain = one_line(text)
    for mark in ("**", "*", "`", '"', "'"):
        if len(plain) > 2 * len(mark) and plain.startswith(mark) and plain.endswith(mark):
            plain = plain[len(mark) : -len(mark)].strip()
    return plain


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one space."""
    return " ".join(text.split())
