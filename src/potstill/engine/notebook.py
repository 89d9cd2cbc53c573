"""What a notebook shows of a value: small tables in HTML, every text escaped, no script, no style of their own."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

LONGEST = 120
"""Letters of a cell that are shown."""
COLUMNS = 12
"""Columns that are shown."""


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; what does not fit is counted in its place."""
    more = [f"+{len(head) - COLUMNS} columns"] if len(head) > COLUMNS else []
    titles = "".join(f"<th>{_cell(title)}</th>" for title in [*head[:COLUMNS], *more])
    lines = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in [*row[:COLUMNS], *([''] if more else [])])}</tr>"
        for row in rows
    )
    above = f"<caption>{_cell(caption)}</caption>"
    return f"<table>{above}<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(value: object) -> str:
    """Return a value as escaped text, cut with the number of letters that are left out."""
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    cut = f"{text[:LONGEST]} …+{len(text) - LONGEST:,}" if len(text) > LONGEST else text
    # half a character, which a model may write, can't be sent to a browser
    return html.escape(cut.encode("utf-8", "replace").decode())
