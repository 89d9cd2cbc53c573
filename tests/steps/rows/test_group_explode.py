"""Lists to rows and rows to lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.group_explode import Explode, Group
from running import artifact_of, problems_of, rows_of

LISTS = LoadRows([{"id": "a", "x": [{"k": 1}, {"k": 2}], "t": "u"}, {"id": "b", "x": None}, {"id": "c", "x": []}])
NUMBERS = LoadRows([{"g": g, "n": n, "t": f"t{n}", "l": [n]} for n, g in enumerate(["b", "a", "b", None, None])])


def test_explode_repeats_the_other_columns_and_counts_what_is_left_out(tmp_path: Path) -> None:
    made = artifact_of(Explode(LISTS, "x"), tmp_path)
    assert made.dataset().to_list() == [{"id": "a", "x": {"k": 1}, "t": "u"}, {"id": "a#2", "x": {"k": 2}, "t": "u"}]
    assert made.manifest["counts"]["filtered"] == {"empty list": 2}
    assert made.manifest["counts"]["kept"] == 2


def test_explode_over_many_rows(tmp_path: Path) -> None:
    rows = LoadRows([{"n": number, "x": list(range(number % 3))} for number in range(12_000)])
    made = rows_of(Explode(rows, "x"), tmp_path)
    assert [(row["n"], row["x"]) for row in made] == [(n, x) for n in range(12_000) for x in range(n % 3)]


def test_what_can_not_be_exploded(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'id' holds no lists but string"):
        rows_of(Explode(LISTS, "id"), tmp_path)
    assert "needs column xx" in problems_of(Explode(LISTS, "xx"))[0]


def test_groups_in_the_order_of_their_first_rows(tmp_path: Path) -> None:
    made = rows_of(
        Group(NUMBERS, by="g", collect=["t", "l"], aggregate={"sum": ("n", "sum"), "first": ("t", "first")}), tmp_path
    )
    assert made == [
        {"g": "b", "t": ["t0", "t2"], "l": [[0], [2]], "sum": 2, "first": "t0"},
        {"g": "a", "t": ["t1"], "l": [[1]], "sum": 1, "first": "t1"},
        {"g": None, "t": ["t3", "t4"], "l": [[3], [4]], "sum": 7, "first": "t3"},
    ]


def test_many_groups_by_two_columns_are_whole(tmp_path: Path) -> None:
    rows = LoadRows([{"a": number % 11_000, "b": "x", "n": number} for number in range(22_000)])
    made = rows_of(Group(rows, by=("a", "b"), collect=["n"]), tmp_path)
    assert [row["n"] for row in made] == [[number, number + 11_000] for number in range(11_000)]


def test_drawn_groups_agree_with_pandas(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"g": draw.integers(0, 700, 9_000), "n": range(9_000), "x": draw.normal(size=9_000)})
    step = Group(LoadRows(frame), by="g", collect=["n"], aggregate={"mean": ("x", "mean"), "last": ("n", "last")})
    grouped = frame.groupby("g", sort=False)
    wanted = pd.DataFrame({"n": grouped["n"].agg(list), "mean": grouped["x"].mean(), "last": grouped["n"].last()})
    pd.testing.assert_frame_equal(pd.DataFrame(rows_of(step, tmp_path)), wanted.reset_index())


def test_wrong_groups(tmp_path: Path) -> None:
    assert "'median'" in problems_of(Group(NUMBERS, by="g", aggregate={"m": ("n", "median")}))[0]
    assert (
        "'t' would be made twice"
        in problems_of(Group(NUMBERS, by="g", collect=["t"], aggregate={"t": ("n", "sum")}))[0]
    )
    assert "needs column h" in problems_of(Group(NUMBERS, by="h"))[0]
    with pytest.raises(RequestError, match="can't be grouped so"):
        rows_of(Group(NUMBERS, by="g", aggregate={"m": ("t", "mean")}), tmp_path)
