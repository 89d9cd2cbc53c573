"""How much of an answer that still grows can be sent: what is sent can't be taken back."""

from __future__ import annotations

from collections.abc import Sequence

UNFINISHED = "\ufffd"
"""How the first bytes of a character look whose others are not written yet."""


def settled(text: str, stops: Sequence[str]) -> str:
    """Return the part of `text` that stays, whatever is written next.

    It ends before a text of `stops`, before what may be the beginning of one, and before half a character.

    >>> settled("one two <e", ["<end>"])
    'one two '
    """
    cuts = [text.index(stop) for stop in stops if stop in text]
    if cuts:
        return text[: min(cuts)]
    text = text.rstrip(UNFINISHED)
    longest = max((len(stop) for stop in stops), default=0)
    for start in range(max(0, len(text) - longest + 1), len(text)):
        if any(stop.startswith(text[start:]) for stop in stops):
            return text[:start]
    return text
