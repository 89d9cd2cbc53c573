"""Rows from memory: whatever holds them, their content is the key."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset

from potstill.steps.loading.in_memory import LoadRows
from running import artifact_of, problems_of, rows_of

ROWS = [{"text": "a", "n": 1}, {"text": "b", "n": 2}]


@pytest.mark.parametrize(
    "rows",
    [ROWS, tuple(ROWS), (row for row in ROWS), pd.DataFrame(ROWS), pa.Table.from_pylist(ROWS), Dataset.from_list(ROWS)],
)
def test_rows_of_any_kind(rows: Any, tmp_path: Path) -> None:
    step = LoadRows(rows)
    assert rows_of(step, tmp_path) == ROWS
    assert step.columns({}) == {"text", "n"}
    assert step.estimate({}).rows == 2


def test_equal_rows_are_a_hit_and_other_ones_are_not(tmp_path: Path) -> None:
    key = artifact_of(LoadRows(ROWS), tmp_path).key
    assert artifact_of(LoadRows([dict(row) for row in ROWS]), tmp_path).key == key
    for other in ([*ROWS, {"text": "c"}], [{"text": "a", "n": "1"}], [{"text": "a", "n": True}], ROWS[::-1]):
        assert artifact_of(LoadRows(other), tmp_path).key != key
    frame, same = pd.DataFrame(ROWS), pd.DataFrame(ROWS)
    assert artifact_of(LoadRows(frame), tmp_path).key == artifact_of(LoadRows(same), tmp_path).key
    long = [np.arange(5000), np.arange(5000)]
    long[1][2500] = -1  # where printing an array leaves numbers out
    assert len({artifact_of(LoadRows([{"x": array}]), tmp_path).key for array in long}) == 2


def test_later_changes_are_not_seen(tmp_path: Path) -> None:
    rows = [{"tags": ["a"], "day": date(2024, 1, 2)}]
    frame = pd.DataFrame({"n": np.arange(3)})
    from_list, from_frame = LoadRows(rows), LoadRows(frame)
    rows[0]["tags"].append("b")
    frame.loc[0, "n"] = 9
    assert rows_of(from_list, tmp_path) == [{"tags": ["a"], "day": date(2024, 1, 2)}]
    assert [row["n"] for row in rows_of(from_frame, tmp_path)] == [0, 1, 2]


def test_ragged_rows_and_numbers_of_both_kinds(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"b": {"x": []}}, {"a": 0.5, "b": {"y": "z"}}]
    assert rows_of(LoadRows(rows), tmp_path) == [
        {"a": 1.0, "b": None},
        {"a": None, "b": {"x": []}},
        {"a": 0.5, "b": {"y": "z"}},
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ({"a": [1]}, "must be a list of dicts"),
        ("text", "must be a list of dicts"),
        ([{"a": 1}, 2], "row 1 must be a dict, got 2"),
        ([{"a": b"x"}, {"a": memoryview(b"x")}], "row 1, column 'a' holds a memoryview that can't be copied"),
        ([{"a": (n for n in [1])}], "row 0, column 'a' holds a generator that can't be copied"),
        ([{"a": 1}, {"a": "x"}], "row 1: field 'a' is a text here and a whole number in row 0"),
        ([{"a": 2**70}], "more than 64 bits"),
        ([{"a": [1]}, {"a": ["x"]}], "row 1: field 'a[]' holds a text ('x'), but a whole number in row 0"),
    ],
)
def test_rows_that_are_none_are_refused_before_anything_runs(rows: Any, message: str) -> None:
    (problem,) = problems_of(LoadRows(rows))
    assert message in problem


def test_a_schema_is_checked_and_said_types_hold(tmp_path: Path) -> None:
    assert rows_of(LoadRows(ROWS, schema={"n": float, "note": "str?"}), tmp_path)[0] == {
        "text": "a",
        "n": 1.0,
        "note": None,
    }
    wrong = problems_of(LoadRows([*ROWS, {"text": None}, {"n": "x"}], schema={"text": "str", "n": int | None}))
    assert [problem.split(": ", 1)[1] for problem in wrong] == [
        "rows, row 2: field 'text' must be a text, but is missing (say str? to allow it)",
        "rows, row 3: no field 'text' (it has n)",
        "rows, row 3: field 'n' must be a whole number, got 'x'",
    ]
    assert "is no type of a column" in problems_of(LoadRows(ROWS, schema={"n": "number"}))[0]
    assert (
        artifact_of(LoadRows(ROWS, schema={"n": int}), tmp_path).key
        == artifact_of(LoadRows(ROWS, schema={"n": "int"}), tmp_path).key
    )
