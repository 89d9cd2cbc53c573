"""Parameters count with what they hold beside what they show: attributes beside fields, masks, zones, identities."""

from __future__ import annotations

import functools
import os
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from potstill.engine.encoding import FileContent, digest, encode
from potstill.engine.keys.identity import key_of, step_identity
from potstill.engine.step import Step
from potstill.errors import BadInput


@dataclass(frozen=True)
class FromStart:
    start: InitVar[str] = ""

    def __post_init__(self, start: str) -> None:
        object.__setattr__(self, "word", start)


@dataclass
class Open:
    size: int = 1

    @functools.cached_property
    def twice(self) -> int:
        return 2 * self.size


class Started(Step):
    start: InitVar[str] = ""
    makes = "rows"

    def __post_init__(self, start: str) -> None:
        object.__setattr__(self, "word", start)

    def run(self) -> list[dict[str, str]]:
        return [{"word": self.word}]


def test_what_a_dataclass_holds_beside_its_fields_is_keyed_where_the_fields_do_not_tell_it() -> None:
    one, other, asked, plain = Open(), Open(), Open(), Open()
    one.word, other.word = "a", "b"  # type: ignore[attr-defined]
    assert asked.twice == 2
    assert len({*map(digest, (FromStart("a"), FromStart("b"), one, other, plain, asked))}) == 5
    keys = {key_of(step_identity(Started(start=word), lambda node: None, {})) for word in "ab"}  # type: ignore[arg-type]
    assert len(keys) == 2


class Named(np.ndarray[Any, Any]):
    pass


def test_kinds_of_arrays_count_with_all_that_they_hold() -> None:
    named, other = np.zeros(1).view(Named), np.zeros(1).view(Named)
    named.word, other.word = "a", "b"  # type: ignore[attr-defined]
    hidden, shown = (np.ma.array([1, 999999], mask=[0, mask]) for mask in (1, 0))
    assert len({*map(digest, (named, other, np.zeros(1), hidden, shown))}) == 5


class Zone(tzinfo):
    def __init__(self, hours: int = 0) -> None:
        self.hours = hours

    def __repr__(self) -> str:
        return "Zone()"

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=self.hours)


def test_values_count_by_more_than_they_show() -> None:
    assert digest(datetime(2020, 1, 1, tzinfo=Zone(1))) != digest(datetime(2020, 1, 1, tzinfo=Zone(2)))
    kept, other = functools.cache(len), functools.cache(len)
    other.word = "b"  # type: ignore[attr-defined]
    assert digest(kept) == digest(len) != digest(other)


def test_an_identity_that_can_not_be_had_is_named() -> None:
    class Broken:
        def identity(self) -> str:
            raise ValueError("not yet")

    with pytest.raises(BadInput, match=r"identity\(\) of a .*Broken raises ValueError: not yet"):
        encode(Broken())


def test_a_file_that_is_gone_once_it_is_read_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe is neither a file nor a folder"):
        FileContent().identity(tmp_path / "pipe")
