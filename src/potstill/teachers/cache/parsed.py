"""What a parser read out of an answer, as rows can hold it: one odd value must not spoil the rows beside it."""

from __future__ import annotations

from typing import Any, TypeVar

from potstill.teachers.response_codec import well_formed

DEEPEST = 100
"""Most levels of lists and objects inside each other."""
LARGEST = 2**63 - 1
"""Largest whole number that a column holds; the smallest is one more below zero."""

Value = TypeVar("Value")


def storable_value(value: Value) -> Value:
    """Return a parsed value with halves of characters replaced in its texts, at any depth.

    Raises:
        ValueError: no column can hold it: a whole number of more than 64 bits, or nesting beyond `DEEPEST`.
    """
    storable: Value = _storable(value, 0)
    return storable


def _storable(value: Any, depth: int) -> Any:
    """Return a part of a value, `depth` levels down."""
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} levels deep")
    kind = type(value)
    if kind is str:
        return well_formed(value)
    if kind is int and not -LARGEST - 1 <= value <= LARGEST:
        raise ValueError(f"holds a whole number of {value.bit_length()} bits, and a column takes 64")
    if kind is dict:
        return {_storable(name, depth + 1): _storable(item, depth + 1) for name, item in value.items()}
    if kind in (list, tuple):
        return kind(_storable(item, depth + 1) for item in value)
    return value
