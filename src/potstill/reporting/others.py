"""What a report shows as it is: a user's own figures, and tables of sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE, cut, decimal, size, times

MOST = 60
"""Lines of a table that the page shows; all are in metrics.json."""
LONGEST = 160
"""Letters of a value that the page shows."""
DEEPEST = 4
"""Dicts in dicts whose names are joined; what is deeper is shown as JSON."""


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    title: str
    """Its heading."""
    head: tuple[str, ...]
    """Names of its columns."""
    lines: tuple[tuple[str, ...], ...]
    """Its lines, the first text of each naming it."""
    left_out: int = 0
    """Lines that the page leaves out."""
    notes: tuple[str, ...] = ()
    """Sentences that stand before it."""
    caption: str = ""
    """What its columns are."""


def own_figures(evaluations: Sequence[Evaluation]) -> Table | None:
    """Return the figures of no known kind side by side, one line a name; `None` if there are none."""
    own = [one for one in evaluations if one.kind is None and isinstance(one.metrics, Mapping)]
    leaves = [dict(_leaves(one.metrics)) for one in own]
    names = list(dict.fromkeys(name for each in leaves for name in each))
    if not own:
        return None
    lines = tuple((name, *(_text(each[name]) if name in each else NONE for each in leaves)) for name in names[:MOST])
    return Table("Other figures", ("Figure", *(one.label for one in own)), lines, len(names) - len(lines))


def row_tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Return what was given as rows, a table each; sizes as people read them."""
    return [_rows(one) for one in evaluations if isinstance(one.metrics, list)]


def _rows(evaluation: Evaluation) -> Table:
    """Return a table of rows."""
    rows: Any = evaluation.metrics
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    lines = tuple(tuple(_cell(name, row.get(name)) for name in columns) for row in rows[:MOST])
    head = tuple(name.replace("_", " ") for name in columns)
    return Table(evaluation.label, head, lines, max(0, len(rows) - len(lines)))


def _cell(column: str, value: object) -> str:
    """Return one value of a table of sizes as text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if column == "bytes" or column.endswith("_bytes"):
            return size(value)
        if column in ("factor", "times"):
            return times(value)
    return _text(value)


def _leaves(value: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, object]]:
    """Yield the values of nested dicts, with their joined names."""
    for name, inner in value.items():
        place = f"{before}{name}"
        if isinstance(inner, Mapping) and inner and depth < DEEPEST:
            yield from _leaves(inner, f"{place}.", depth + 1)
        else:
            yield place, inner


def _text(value: object) -> str:
    """Return any value as text."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return decimal(value) if 0.1 <= abs(value) < 1e6 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return cut(text, LONGEST)
