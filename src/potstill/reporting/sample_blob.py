"""Samples as the page carries them: compressed, so that a thousand rows of twenty models are no weight."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.reporting.samples import Sample, Samples

MOST = 1_000
"""Rows of a section in the page; all are in samples.jsonl."""
LONGEST = 4_000
"""Letters of a text in the page; a megabyte in one row would be a page that can't be read."""
HEAVIEST = 2_000_000
"""Bytes of all samples in the page: with them it stays below 3 MB."""
SHORTEST = 120
"""Letters to which texts are cut before rows are left out."""
FIRST = 8
"""Rows of a section that the page shows without script."""


@dataclass(frozen=True)
class Blob:
    """Samples in the page."""

    text: str
    """gzip as base64, which can hold nothing that a page would act on; empty where there are no rows."""
    cut: int
    """Letters of the longest text that is whole."""
    total: int
    """How many rows there are in all."""
    held: int
    """How many of them the page holds."""


@dataclass(frozen=True)
class Shown:
    """A row as the page shows it without script."""

    set: str
    """Name of the test set."""
    id: str
    """Id of the row."""
    input: str
    """What was asked."""
    gold: str
    """The right answer."""
    answers: tuple[tuple[str, str, bool | None], ...]
    """The different answers: labels of the models that gave it, the text, and whether it is right."""


def blob_of(samples: Sequence[Samples]) -> Blob:
    """Return as much of the samples as the page can carry: where that is not all, some rows, then cut texts."""
    total = sum(len(one.rows) for one in samples)
    most, longest = MOST, LONGEST
    if not total:
        return Blob("", longest, 0, 0)
    while True:
        picked = [(one, spread(one.rows, most)) for one in samples]
        text = _packed(picked, longest)
        if len(text) <= HEAVIEST or most == 1:
            return Blob(text, longest, total, sum(len(rows) for _, rows in picked))
        if longest > SHORTEST:
            longest = max(SHORTEST, longest // 2)
        else:
            most = max(1, most // 2)


def spread(rows: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most so many rows, evenly from all of them, so that no test set is left out.

    >>> spread(range(10), 5)
    [0, 2, 4, 6, 8]
    """
    count = min(most, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]


def first_shown(samples: Samples) -> list[Shown]:
    """Return the first rows in which models differ, or are wrong; else the first ones."""
    telling = [row for row in samples.rows if not row.is_same or row.is_wrong]
    return [_shown(row, samples.models) for row in (telling or samples.rows)[:FIRST]]


def _shown(row: Sample, models: Sequence[str]) -> Shown:
    """Return a row with its different answers, each with the models that gave it."""
    by_answer: dict[tuple[str, bool | None], list[str]] = {}
    for model, own in zip(models, row.answers, strict=True):
        if own is not None:
            by_answer.setdefault((own.answer, own.right), []).append(model)
    return Shown(
        row.set,
        row.id,
        row.input,
        row.gold,
        tuple((", ".join(labels), text, right) for (text, right), labels in by_answer.items()),
    )


def _packed(picked: Sequence[tuple[Samples, Sequence[Sample]]], longest: int) -> str:
    """Return rows as base64: equal texts once, the time left out, so that the same rows are the same bytes."""
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        whole = text if len(text) <= longest else f"{text[:longest]}…+{len(text) - longest}"
        return numbers.setdefault(whole, len(numbers))

    sections = []
    for one, rows in picked:
        sets = list(dict.fromkeys(row.set for row in rows))
        lines = [
            [
                sets.index(row.set),
                number(row.id),
                number(row.input),
                number(row.gold),
                [-1 if own is None else number(own.answer) for own in row.answers],
                "".join(_mark(None if own is None else own.right) for own in row.answers),
            ]
            for row in rows
        ]
        sections.append({"title": one.title, "models": list(one.models), "sets": sets, "rows": lines})
    whole = json.dumps({"texts": list(numbers), "sections": sections}, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(whole.encode("utf-8", "replace"), 9, mtime=0)).decode("ascii")


def _mark(right: bool | None) -> str:
    """Return whether an answer is right as a letter."""
    return "-" if right is None else "1" if right else "0"
