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


def columns_of(prompt: str) -> tuple[str, ...]:
    """Return the columns that a test set needs for the template `prompt`."""
    return required_variables(prompt) if takes_conversations(prompt) else ("instruction", "output")


def exchange_in(prompt: str, row: Mapping[str, Any]) -> tuple[str, Chat, str] | str:
    """Return what a row asks, the chat that asks it and the right answer; or why it can't be measured."""
    talks = takes_conversations(prompt)
    needed = () if talks else ("instruction", "output")
    missing = [field for field in needed if not isinstance(row.get(field), str)]
    if missing:
        return f"{' and '.join(missing)} must be text"
    chat = rendered(prompt, row)
    if not isinstance(chat, list):
        return chat.reason
    expected = answer_of(prompt, row)
    if expected is None:
        return "it has no right answer: give output, or end the conversation with the assistant's turn"
    return chat[-1]["content"] if talks else row["instruction"], chat, expected
