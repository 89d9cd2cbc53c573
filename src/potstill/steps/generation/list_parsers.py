"""Parsers of free-form answers: lists, and records of labelled lines. Pure functions on text."""

from __future__ import annotations

import re
from collections.abc import Iterable

NUMBER = re.compile(r"\s*(?:\(?\d{1,5}[.):]+|[-*•])(?:\s+|$)")
"""What a list item starts with."""
INNER = re.compile(r"\s*(?:\(?\d{1,5}[.):]+|\(?[a-z]\)|[-*•])(?:\s+|$)")
"""What an item of a list within a list starts with, `b)` too."""
DEEPEST = 8
"""Levels of lists within lists whose numbers are taken off."""
HEADING = re.compile(r"\W{0,99}(?:example|instance|item)\s{0,9}#?\d{1,9}\W*", re.IGNORECASE)
"""A line that only says which example comes next."""


def parse_list(text: str) -> list[str]:
    r"""Return the items of a numbered or bulleted list; without one, each line is an item.

    Lines before the first number are dropped; a line without a number continues the item before it.

    >>> parse_list("Sure!\n9. Dim the\n lamp\n10) **Open the blinds**\n11. 1. Lock the door")
    ['Dim the lamp', 'Open the blinds', 'Lock the door']
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not any(NUMBER.match(line) for line in lines):
        return [item for item in map(bare, lines) if item]
    items: list[list[str]] = []
    for line in lines:
        match = NUMBER.match(line)
        if match:
            items.append([line[match.end() :]])
        elif items:
            items[-1].append(line)
    return [item for item in (_unnumbered(" ".join(parts)) for parts in items) if item]


def parse_records(text: str, names: Iterable[str]) -> list[dict[str, str]]:
    r"""Return the records of lines such as `Input: ...`; a name that comes again starts the next record.

    A value goes on until the next name or a heading such as `Example 2`; what stands before the first name is dropped.

    >>> parse_records("Example 1\nInput: 2 + 2\nOutput: 4\n\n**Input:** 1 +\n1\nOutput: 2", ["input", "output"])
    [{'input': '2 + 2', 'output': '4'}, {'input': '1 +\n1', 'output': '2'}]
    """
    wanted = "|".join(re.escape(name) for name in names)
    label = re.compile(rf"[\s#*_>-]{{0,99}}({wanted})[\s*_]{{0,99}}:[*_]{{0,9}}[ \t]*(.*)", re.IGNORECASE)
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
