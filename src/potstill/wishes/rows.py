"""The user's own rows: examples with labels, and texts without."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from potstill.errors import RequestError

TEXTS = ("text", "input", "instruction")
"""Columns that may hold a text, the first that is there."""
LABELS = ("label", "output", "gold")
"""Columns that may hold a label."""
SHOWN = 5
"""Problems of a file that are named."""

Pairs = tuple[tuple[str, str], ...]
"""Texts with their labels."""


def examples_in(file: Path) -> Pairs:
    """Return the pairs of text and label in a file of JSON Lines.

    Raises:
        RequestError: the file can't be read, a row lacks a text or a label, or a text has two labels; all together.
    """
    pairs: list[tuple[str, str]] = []
    wrong = []
    labels: dict[str, str] = {}
    for number, row in rows_in(file):
        text, label = _first(row, TEXTS), _first(row, LABELS)
        if text is None or label is None:
            wrong.append(
                f"{file}:{number} needs a text ({'|'.join(TEXTS)}) and a label ({'|'.join(LABELS)}): {row!r:.80}"
            )
        elif labels.setdefault(text, label) != label:
            wrong.append(f"{file}:{number} calls a text {label!r} that was {labels[text]!r} before: {text!r:.60}")
        else:
            pairs.append((text, label))
    if not pairs and not wrong:
        wrong = [f"{file} has no rows: give some, or leave --examples out"]
    if wrong:
        raise RequestError(*_few(wrong))
    return tuple(dict.fromkeys(pairs))


def text_column(file: Path) -> str:
    """Return the column of a file of JSON Lines that holds the texts, by its first row.

    Raises:
        RequestError: the file can't be read, or its first row has no text.
    """
    for number, row in rows_in(file):
        if (name := next((name for name in TEXTS if isinstance(row.get(name), str)), None)) is not None:
            return name
        raise RequestError(f"{file}:{number} needs a text in one of {', '.join(TEXTS)}, got {row!r:.80}")
    raise RequestError(f"{file} has no rows: give some, or leave --texts out, so that the teacher writes them")


def strange_labels(pairs: Pairs, labels: Sequence[str]) -> Iterator[str]:
    """Yield that examples have labels which are none of the task's."""
    if strange := [label for label in dict.fromkeys(label for _, label in pairs) if label not in labels]:
        listed = ", ".join(map(repr, strange))
        yield f"the examples have the labels {listed}, and the task has {', '.join(labels)}: name all in the wish"


def rows_in(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file with the numbers of their lines.

    Raises:
        RequestError: the file or a line of it can't be read.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise RequestError(f"{file}:{number} is no JSON object: {line.strip()!r:.80}")
                    yield number, row
    except OSError as error:
        raise RequestError(f"{file} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise RequestError(f"{file} is no file of JSON Lines: {error}") from error


def _first(row: dict[str, Any], names: Sequence[str]) -> str | None:
    """Return the first of some columns that holds a text with something in it."""
    values = (row.get(name) for name in names)
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), None)


def _few(wrong: list[str]) -> list[str]:
    """Return some problems, and how many more there are."""
    return wrong if len(wrong) <= SHOWN else [*wrong[:SHOWN], f"and {len(wrong) - SHOWN} more of this kind"]
