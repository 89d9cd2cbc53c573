"""A value comes back from the journal as it was: equal, of the same type, and the same bytes in rows."""

from __future__ import annotations

import datetime as dt
import enum
import math
import random
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dateutil.tz
import numpy as np
import pandas as pd
import pytest

from potstill.engine.rows import files
from potstill.engine.rows.values import pack, unpack

BERLIN = ZoneInfo("Europe/Berlin")
EXACT: dict[str, list[Any]] = {
    "nothing": [None],
    "truth": [True, False],
    "whole numbers": [0, -1, 2**31, -(2**63), 2**63, 2**64, -(2**200)],
    "numbers": [0.0, -0.0, 1e308, 5e-324, math.inf],
    "texts": ["", "é", "\x00", "\U0001f600", "\ud83d"],
    "bytes": [b"", b"\x00\xff"],
    "dates": [dt.date.min, dt.date(2024, 2, 29), dt.date.max],
    "moments": [dt.datetime.min, dt.datetime(2020, 1, 1, 1, 1, 1, 999_999), dt.datetime.max],
    "moments with an offset": [
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    ],
    "moments in a zone": [
        dt.datetime(2020, 7, 1, 12, tzinfo=BERLIN),
        dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN),
        dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
        dt.datetime(2020, 3, 29, 2, 30, tzinfo=BERLIN),
        dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC")),
    ],
    "times of day": [dt.time.min, dt.time(23, 59, 59, 999_999), dt.time(1, tzinfo=BERLIN, fold=1)],
    "durations": [dt.timedelta.min, dt.timedelta(-1, 1, 1), dt.timedelta.max],
    "decimals": [Decimal("1.10"), Decimal("-0"), Decimal("1E+30"), Decimal("0.000001")],
    "identifiers": [uuid.UUID(int=5), uuid.UUID(int=2**128 - 1)],
    "lists and tuples": [[], (), [(1, [2]), (3,)], ([],)],
    "objects": [{}, {"b": 1, "a": {"c": [None]}}, {1: "a", "1": "b"}],
    "NumPy's numbers": [np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True)],
    "NumPy's times": [np.datetime64("2020-01-01T00:00:00.123456789"), np.timedelta64(5, "s")],
    "pandas'": [
        pd.Timestamp("2020-01-01 00:00:00.123456789"),
        pd.Timestamp("2020-07-01", tz="Europe/Berlin"),
        pd.Timedelta("1ns"),
        pd.Timestamp("2020-01-01").as_unit("s"),
    ],
}
"""Values that come back equal and of the same type."""
Pair = namedtuple("Pair", "a b")


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    pass


ALIKE: dict[str, tuple[Any, Any]] = {
    "a named tuple": (Pair(1, [2]), (1, [2])),
    "an ordered dict": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "an enum of numbers": (Level.LOW, 1),
    "a text of another class": (Name("x"), "x"),
    "NumPy's text": (np.str_("x"), "x"),
    "a bytearray": (bytearray(b"x"), b"x"),
    "a memoryview": (memoryview(b"x"), b"x"),
    "an array of objects": (np.array([1, None, "x"], object), [1, None, "x"]),
    "a zone of another library": (
        dt.datetime(2020, 7, 1, tzinfo=dateutil.tz.gettz("Europe/Berlin")),
        dt.datetime(2020, 7, 1, tzinfo=BERLIN),
    ),
}
"""Values that come back as the plain ones that rows have for them."""


@pytest.mark.parametrize("what", EXACT)
def test_values_come_back_exactly(what: str) -> None:
    for value in EXACT[what]:
        for whole in (value, [value], {"a": value}):
            same(unpack(pack(whole)), whole)


def same(one: Any, other: Any) -> None:
    """Check that two values are equal in content and type, at any depth."""
    assert type(one) is type(other), (one, other)
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        same(list(one.values()), list(other.values()))
    else:
        assert repr(one) == repr(other)
        assert one == other
        assert getattr(one, "fold", 0) == getattr(other, "fold", 0)
        assert getattr(one, "unit", "") == getattr(other, "unit", "")


@pytest.mark.parametrize("what", ALIKE)
def test_values_of_other_classes_come_back_as_what_rows_hold(what: str) -> None:
    value, plain = ALIKE[what]
    same(unpack(pack(value)), plain)


def test_arrays_come_back_with_their_types() -> None:
    for array in (np.array([1, 2], np.int8), np.zeros((2, 0, 3), ">f4"), np.array(["a", "bc"]), np.array([True])):
        back = unpack(pack([array]))[0]
        assert (back.dtype, back.shape, back.tolist()) == (array.dtype, array.shape, array.tolist())
        back[...] = back  # can be written to


def test_what_is_no_number_comes_back_as_such() -> None:
    assert math.isnan(unpack(pack(math.nan)))
    assert unpack(pack(pd.NaT)) is pd.NaT
    assert unpack(pack(pd.NA)) is pd.NA
    assert str(unpack(pack(Decimal("NaN")))) == "NaN"
    assert np.isnat(unpack(pack(np.datetime64("NaT"))))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({1, 2}, "set"),
        (frozenset(), "frozenset"),
        (1j, "complex"),
        (object(), "object"),
        (Path("x"), "Path"),
        (lambda: 1, "function"),
        (np.zeros(1, "i4,f4"), "f4"),
        (pd.Series([1]), "Series"),
        ([{"a": ({1},)}], "set"),
    ],
)
def test_what_has_no_place_in_rows_is_refused_by_name(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        pack(value)


def test_what_an_earlier_version_packed_is_read() -> None:
    import msgpack

    def earlier(number: int, text: str) -> bytes:
        return bytes(msgpack.packb({"a": msgpack.ExtType(number, text.encode())}))

    old = [(0, "2020-01-01"), (1, "2020-01-01T00:00:00+01:00"), (2, "01:02:03"), (3, "1.10")]
    right = [
        dt.date(2020, 1, 1),
        dt.datetime.fromisoformat("2020-01-01T00:00:00+01:00"),
        dt.time(1, 2, 3),
        Decimal("1.10"),
    ]
    assert [unpack(earlier(*one))["a"] for one in old] == right


def drawn(draw: random.Random, depth: int = 0) -> Callable[[], Any]:
    """Return a function that draws values of one random type, nested up to three deep."""
    kinds = [name for name in EXACT if name not in ("nothing", "texts", "objects", "lists and tuples")]
    kind = draw.choice(["plain"] * 6 + ["list", "tuple", "dict"] * (depth < 3))
    if kind == "plain":
        choices = [value for value in EXACT[draw.choice(kinds)] if type(value) is not int or abs(value) < 2**62]
        one = draw.choice(choices)
        return lambda: draw.choice([one, one, None])
    inner = drawn(draw, depth + 1)
    if kind == "dict":
        return lambda: {"x": inner(), "y": inner()}
    return lambda: [inner() for _ in range(draw.randrange(3))] if kind == "list" else (inner(), inner())


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_any_types_are_the_same_bytes_after_the_journal(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    columns = {f"c{number}": drawn(draw) for number in range(3)}
    given = [{name: make() for name, make in columns.items()} for _ in range(8)]
    written = []
    for name, kept in (("straight", given), ("through", [unpack(pack(row)) for row in given])):
        try:
            files.write(kept, tmp_path / name)
            written.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
        except Exception as error:  # noqa: BLE001 - types that rows refuse are refused alike
            written.append(type(error).__name__)
    assert written[0] == written[1], given
