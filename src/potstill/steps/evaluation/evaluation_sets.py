"""Shared by evaluation steps: one test set or several, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from potstill.errors import Problem
from potstill.prompts import Chat, answer_of, rendered, required_variables, takes_conversations

Rows = TypeVar("Rows")


def missing_sets(rows: object) -> Iterator[Problem]:
    """Yield a problem if the field `rows` holds an empty dict."""
    if isinstance(rows, Mapping) and not rows:
        yield Problem("", "rows", "no test sets in {}: give rows, or a dict of rows by name")


def by_name(rows: Rows | Mapping[str, Rows]) -> Mapping[str, Rows]:
    """Return the test sets by name; a single one is called `test`.

    >>> by_name([1]), by_name({"easy": [1]})
    ({'test': [1]}, {'easy': [1]})
    """
    return rows if isinstance(rows, Mapping) else {"test": rows}


def columns_of(prompt: str, gold: str = "") -> tuple[str, ...]:
    """Return the columns that a test set needs for the template `prompt`, with right answers in the column `gold`."""
    if takes_conversations(prompt):
        return (*required_variables(prompt), *([gold] if gold else []))
    return tuple(dict.fromkeys((*required_variables(prompt), gold or "output")))


def exchange_in(prompt: str, row: Mapping[str, Any], gold: str = "") -> tuple[str, Chat, tuple[str, ...]] | str:
    """Return what a row asks, the chat that asks it and the right answers; or why it can't be measured.

    They stand in the column `gold`, one or several of which each is right; by default in `output`, or in the
    assistant's last turn.
    """
    talks = takes_conversations(prompt)
    shown = () if talks else tuple(name for name in required_variables(prompt) if name == "instruction")
    needed = shown if talks or gold else (*shown, "output")
    missing = [field for field in needed if not isinstance(row.get(field), str)]
    if missing:
        return f"{' and '.join(missing)} must be text"
    chat = rendered(prompt, row)
    if not isinstance(chat, list):
        return chat.reason
    # a template of other columns has no one that is asked
    asked = row["instruction"] if shown else chat[-1]["content"]
    if gold:
        value = row.get(gold)
        right = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
        texts = bool(right) and all(isinstance(one, str) for one in right)
        return (asked, chat, right) if texts else f"{gold} must be text, or a list of at least one text"
    expected = answer_of(prompt, row)
    if expected is None:
        return "it has no right answer: give output, or end the conversation with the assistant's turn"
    return asked, chat, (expected,)
