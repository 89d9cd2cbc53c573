"""What a parser reads out of an answer can be stored, or is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from potstill.teachers.cache.parsed import LARGEST, storable_value


@pytest.mark.parametrize("value", [1, -1.5, True, None, "a", {"a": [1, {"b": "c"}]}, (1, "x"), LARGEST, -LARGEST - 1])
def test_what_fits_stays_as_it_is(value: Any) -> None:
    assert storable_value(value) == value
    assert type(storable_value(value)) is type(value)


def test_half_characters_are_replaced_at_any_depth() -> None:
    assert storable_value({"\ud83d": ["\udc00"]}) == {"\ufffd": ["\ufffd"]}


@pytest.mark.parametrize("value", [LARGEST + 1, -LARGEST - 2, {"n": [10**29]}, ("a", 10**400)])
def test_a_number_that_no_column_takes_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="bits, and a column takes 64"):
        storable_value(value)


def test_endless_nesting_is_refused() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(ValueError, match="nested more than 100 levels"):
        storable_value(value)
