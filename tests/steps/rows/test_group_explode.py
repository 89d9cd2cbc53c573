"""Lists to rows and rows to lists."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.group_explode import Explode, Group
from running import artifact_of, problems_of, rows_of

LISTS = LoadRows([{"id": "a", "x": [{"k": 1}, {"k": 2}], "t": "u"}, {"id": "b", "x": None}, {"id": "c", "x": []}])
NUMBERS = LoadRows([{"g": g, "n": n, "t": f"t{n}", "l": [n]} for n, g in enumerate(["b", "a", "b", None, None])])


def test_explode_repeats_the_other_columns_and_counts_what_is_left_out(tmp_path: Path) -> None:
    result = artifact_of(Explode(LISTS, "x"), tmp_path)
    assert result.dataset().to_list() == [{"id": "a", "x": {"k": 1}, "t": "u"}, {"id": "a#2", "x": {"k": 2}, "t": "u"}]
    assert result.manifest["counts"]["filtered"] == {"empty list": 2}
    assert result.manifest["counts"]["kept"] == 2


def test_explode_over_many_rows(tmp_path: Path) -> None:
    rows = LoadRows([{"n": number, "x": list(range(number % 3))} for number in range(12_000)])
    result = rows_of(Explode(rows, "x"), tmp_path)
    assert [(row["n"], row["x"]) for row in result] == [(n, x) for n in range(12_000) for x in range(n % 3)]


def test_what_can_not_be_exploded(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'id' holds no lists but string"):
        rows_of(Explode(LISTS, "id"), tmp_path)
    assert "needs column xx" in problems_of(Explode(LISTS, "xx"))[0]


def test_groups_in_the_order_of_their_first_rows(tmp_path: Path) -> None:
    result = rows_of(
        Group(NUMBERS, by="g", collect=["t", "l"], aggregate={"sum": ("n", "sum"), "first": ("t", "first")}), tmp_path
    )
    assert result == [
        {"g": "b", "t": ["t0", "t2"], "l": [[0], [2]], "sum": 2, "first": "t0"},
        {"g": "a", "t": ["t1"], "l": [[1]], "sum": 1, "first": "t1"},
        {"g": None, "t": ["t3", "t4"], "l": [[3], [4]], "sum": 7, "first": "t3"},
    ]


def test_many_groups_by_two_columns_are_whole(tmp_path: Path) -> None:
    rows = LoadRows([{"a": number % 11_000, "b": "x", "n": number} for number in range(22_000)])
    result = rows_of(Group(rows, by=("a", "b"), collect=["n"]), tmp_path)
    assert [row["n"] for row in result] == [[number, number + 11_000] for number in range(11_000)]


def test_drawn_groups_agree_with_pandas(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"g": draw.integers(0, 700, 9_000), "n": range(9_000), "x": draw.normal(size=9_000)})
    step = Group(LoadRows(frame), by="g", collect=["n"], aggregate={"mean": ("x", "mean"), "last": ("n", "last")})
    grouped = frame.groupby("g", sort=False)
    wanted = pd.DataFrame({"n": grouped["n"].agg(list), "mean": grouped["x"].mean(), "last": grouped["n"].last()})
    pd.testing.assert_frame_equal(pd.DataFrame(rows_of(step, tmp_path)), wanted.reset_index())


def grouped(values: list[Any], made: Any, store: Path, kind: pa.DataType | None = None) -> Any:
    """Return what is made of values, all in one group."""
    rows = LoadRows(pa.table({"g": ["a"] * len(values), "v": pa.array(values, kind)}))
    (row,) = rows_of(Group(rows, by="g", aggregate={"made": ("v", made)}), store)
    return row["made"]


def test_no_sum_wraps_around(tmp_path: Path) -> None:
    assert grouped([2**62, 2**62 - 1, None], "sum", tmp_path) == 2**63 - 1
    assert grouped([2**62, 2**62, -(2**62)], "sum", tmp_path) == 2**62
    assert grouped([2**63, 2**62], "sum", tmp_path, pa.uint64()) == 2**63 + 2**62
    for values, kind in (([2**62, 2**62], pa.int64()), ([-(2**63), -1], pa.int64()), ([2**63, 2**63], pa.uint64())):
        with pytest.raises(RequestError, match="a sum of column 'v' has more than 64 bits"):
            grouped(values, "sum", tmp_path, kind)
    assert grouped([Decimal("9" * 38)] * 2, "sum", tmp_path) == 2 * int("9" * 38)


def test_the_mean_of_decimals_is_not_rounded_to_their_digits(tmp_path: Path) -> None:
    assert grouped([Decimal("1.0"), Decimal("1.5"), None], "mean", tmp_path) == Decimal("1.25")
    assert abs(grouped([Decimal(1), Decimal(1), Decimal(2)], "mean", tmp_path) - Decimal(4) / 3) < Decimal("1e-11")


def test_a_column_may_be_called_as_arrow_calls_a_sum(tmp_path: Path) -> None:
    rows = LoadRows([{"n_sum": "x", "n": 5}, {"n_sum": "x", "n": 6}])
    step = Group(rows, by="n_sum", collect=["n"], aggregate={"all": ("n", "sum"), "n_count": ("n", "count")})
    assert rows_of(step, tmp_path) == [{"n_sum": "x", "n": [5, 6], "all": 11, "n_count": 2}]


def test_wrong_groups(tmp_path: Path) -> None:
    assert "'median'" in problems_of(Group(NUMBERS, by="g", aggregate={"m": ("n", "median")}))[0]
    assert (
        "'t' would be made twice"
        in problems_of(Group(NUMBERS, by="g", collect=["t"], aggregate={"t": ("n", "sum")}))[0]
    )
    assert "needs column h" in problems_of(Group(NUMBERS, by="h"))[0]
    with pytest.raises(RequestError, match="can't be grouped so"):
        rows_of(Group(NUMBERS, by="g", aggregate={"m": ("t", "mean")}), tmp_path)
