"""A way in which a word gets on, and how it is read from a text.

`{w}` is the word's literal, `{e}` the expression that gives the word so far, `{n}` a number that makes names unique,
`{m}` the module that `{e}` is defined in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One way."""

    name: str
    """What it is called in reports."""
    lines: str
    """What is defined for it in the module."""
    expression: str
    """What gives the word then."""
    dynamic: bool = False
    """Whether names are looked up at run time, so that whole modules count."""
    data: str = ""
    """Content of a data file `data{n}.txt` that it reads when it is imported."""


def _read(text: str) -> Feature:
    """Read a feature: its name and marks, the lines it defines, and the expression behind `=>`."""
    head, _, body = text.strip("\n").partition("\n")
    lines, _, expression = body.rpartition("=>")
    name, *marks = (part.strip() for part in head.split("|"))
    data = next((mark.removeprefix("data ") for mark in marks if mark.startswith("data ")), "")
    return Feature(name, lines.rstrip(), expression.strip(), "dynamic" in marks, data)


def read_features(text: str) -> list[Feature]:
    """Read features that are parted by lines of dashes."""
    return [_read(part) for part in text.strip("\n").split("\n---\n")]
