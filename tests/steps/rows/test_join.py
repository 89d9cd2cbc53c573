"""Joins, checked against pandas' on drawn rows and by hand where the two differ."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.join import Join
from running import problems_of, rows_of

LEFT = LoadRows([{"k": k, "n": n} for n, k in enumerate(["b", "a", None, "b", "d"])])
RIGHT = LoadRows([{"m": m, "k": k} for m, k in enumerate(["c", "b", None, "b"])])


def pairs(how: Any, store: Path) -> list[tuple]:
    return [tuple(row.values()) for row in rows_of(Join(LEFT, RIGHT, on="k", how=how), store)]


def test_every_kind_of_join_in_the_order_of_the_left_rows(tmp_path: Path) -> None:
    inner = [("b", 0, 1), ("b", 0, 3), ("b", 3, 1), ("b", 3, 3)]
    left = [*inner[:2], ("a", 1, None), (None, 2, None), *inner[2:], ("d", 4, None)]
    assert pairs("inner", tmp_path) == inner
    assert pairs("left", tmp_path) == left
    assert pairs("outer", tmp_path) == [*left, ("c", None, 0), (None, None, 2)]
    assert pairs("semi", tmp_path) == [("b", 0), ("b", 3)]
    assert pairs("anti", tmp_path) == [("a", 1), (None, 2), ("d", 4)]


def test_drawn_rows_agree_with_pandas(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    left = pd.DataFrame({"a": draw.integers(0, 50, 400), "b": draw.choice(["x", "y"], 400), "n": range(400)})
    right = pd.DataFrame({"a": draw.integers(0, 50, 300), "b": draw.choice(["x", "y"], 300), "m": range(300)})
    actual = pd.DataFrame(rows_of(Join(LoadRows(left), LoadRows(right), on=["a", "b"]), tmp_path))
    wanted = left.merge(right, on=["a", "b"]).sort_values(["n", "m"], ignore_index=True)
    pd.testing.assert_frame_equal(actual, wanted, check_dtype=False)


def test_columns_that_both_sides_have(tmp_path: Path) -> None:
    both = LoadRows([{"k": "b", "n": 9}])
    assert "both sides have a column n" in problems_of(Join(LEFT, both, on="k"))[0]
    renamed = Join(LEFT, both, on="k", suffix="_2")
    assert rows_of(renamed, tmp_path)[0] == {"k": "b", "n": 0, "n_2": 9}
    assert renamed.columns({"left": frozenset("kn"), "right": frozenset("kn")}) == {"k", "n", "n_2"}
    assert problems_of(Join(LEFT, both, on="k", how="anti")) == []
    assert "needs column kk" in problems_of(Join(LEFT, both, on="kk"))[0]


def test_columns_that_can_not_be_compared(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"can't be compared \(k: string and int64\)"):
        rows_of(Join(LEFT, LoadRows([{"k": 1}]), on="k"), tmp_path)


def test_no_match_at_all_leaves_the_columns(tmp_path: Path) -> None:
    assert rows_of(Join(LEFT, LoadRows([{"k": "z", "m": 1}]), on="k"), tmp_path) == []


DAY = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
SAME = [
    (pa.array([7], pa.int32()), pa.array([7], pa.int64())),
    (pa.array([7], pa.uint8()), pa.array([7], pa.int16())),
    (pa.array([7]), pa.array([7.0])),
    (pa.array([0.5], pa.float32()), pa.array([0.5])),
    (pa.array(["é"]), pa.array(["é"], pa.large_string())),
    (pa.array([b"x"]), pa.array([b"x"], pa.large_binary())),
    (pa.array([Decimal("1.5")]), pa.array([Decimal("1.500")])),
    (pa.array([DAY], pa.timestamp("us", "UTC")), pa.array([DAY], pa.timestamp("ns", "Asia/Tokyo"))),
    (pa.array([datetime.date(2024, 1, 2)]), pa.array([datetime.datetime(2024, 1, 2)])),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=lambda column: str(column.type))
def test_equal_values_match_however_they_are_kept(one: pa.Array, other: pa.Array, tmp_path: Path) -> None:
    for left, right in ((one, other), (other, one)):
        here, there = LoadRows(pa.table({"k": left, "n": [1]})), LoadRows(pa.table({"k": right, "m": [2]}))
        (actual,) = rows_of(Join(here, there, on="k"), tmp_path)
        assert actual == {"k": rows_of(here, tmp_path)[0]["k"], "n": 1, "m": 2}
        assert len(rows_of(Join(here, there, on="k", how="outer"), tmp_path)) == 1
        assert rows_of(Join(here, there, on="k", how="anti"), tmp_path) == []


def test_a_column_without_values_matches_nothing(tmp_path: Path) -> None:
    empty = LoadRows([{"k": None, "m": 1}])
    assert [row["m"] for row in rows_of(Join(LEFT, empty, on="k", how="left"), tmp_path)] == [None] * 5


def test_a_number_that_the_other_sides_would_change_is_named(tmp_path: Path) -> None:
    large, fraction = LoadRows([{"k": 2**60 + 1}]), LoadRows([{"k": 0.5, "m": 1}])
    with pytest.raises(RequestError, match="row 0, column 'k' holds 1152921504606846977, which is changed"):
        rows_of(Join(large, fraction, on="k"), tmp_path)
