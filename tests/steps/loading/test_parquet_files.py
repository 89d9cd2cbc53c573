"""Parquet files, also several whose columns differ."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potstill import RequestError
from potstill.steps.loading.parquet_files import LoadParquet
from running import problems_of, rows_of


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def test_files_whose_columns_and_types_differ_go_together(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", [{"n": 1, "t": "a"}])
    write(tmp_path / "2.parquet", [{"b": True, "n": 0.5}])
    step = LoadParquet(str(tmp_path / "*.parquet"))
    assert rows_of(step, tmp_path / "store") == [{"n": 1.0, "t": "a", "b": None}, {"n": 0.5, "t": None, "b": True}]
    assert (step.columns({}), step.estimate({}).rows) == ({"n", "t", "b"}, 2)


def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path) -> None:
    text = write(tmp_path / "1.parquet", [{"n": "x"}])
    number = write(tmp_path / "2.parquet", [{"n": 1}])
    (tmp_path / "3.parquet").write_bytes(b"PAR1 no")
    empty = write(tmp_path / "4.parquet", [], pa.schema([("n", pa.int64())]))
    assert (
        "2.parquet: column 'n' does not go with those before it (a text and a whole number)"
        in problems_of(LoadParquet([text, number]))[0]
    )
    assert "is no Parquet file" in problems_of(LoadParquet(tmp_path / "3.parquet"))[0]
    assert (
        "field 'n' must be a whole number, but it holds string" in problems_of(LoadParquet(text, schema={"n": int}))[0]
    )
    assert "no field 'm' (it has n)" in problems_of(LoadParquet(text, schema={"m": "str"}))[0]
    assert "no rows" in problems_of(LoadParquet(empty))[0]


def test_missing_values_are_found_with_their_row(tmp_path: Path) -> None:
    path = write(tmp_path / "1.parquet", [{"n": 1}, {"n": None}])
    assert rows_of(LoadParquet(path, schema={"n": "float?"}), tmp_path / "store") == [{"n": 1.0}, {"n": None}]
    try:
        rows_of(LoadParquet(path, schema={"n": int}), tmp_path / "store")
    except RequestError as error:
        assert "1.parquet, row 1: field 'n' is missing" in str(error)
    else:
        raise AssertionError("a missing value was let through")


def test_maps_and_uuids_are_taken_as_the_schema_says_or_refused(tmp_path: Path) -> None:
    mark = uuid.UUID(int=5)
    table = pa.table({"m": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), "u": pa.array([mark, mark])})
    pq.write_table(table, tmp_path / "a.parquet")
    problems = problems_of(LoadParquet(tmp_path / "a.parquet"))
    assert len(problems) == 2
    assert "column 'm' holds map<" in problems[0]
    assert "schema={name: dict}" in problems[0]
    assert (
        "column 'u' holds extension<arrow.uuid>, which rows can't hold: make it a text (from a file: LoadParquet("
        in problems[1]
    )
    asked = LoadParquet(tmp_path / "a.parquet", schema={"m": "dict?", "u": str})
    assert rows_of(asked, tmp_path / "store") == [{"m": {"a": 1}, "u": str(mark)}, {"m": None, "u": str(mark)}]


@pytest.mark.parametrize(
    ("pairs", "kind", "message"),
    [
        ([("a", 1), ("a", 2)], pa.string(), "row 1: field 'm' holds a map with a key that is there twice"),
        ([(1, 1)], pa.int64(), "row 1: field 'm' holds an object with keys of its own, in which the key 1 is no text"),
    ],
)
def test_maps_that_are_no_objects_are_named(pairs: Any, kind: pa.DataType, message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"m": pa.array([None, pairs], pa.map_(kind, pa.int64()))}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=message):
        rows_of(LoadParquet(tmp_path / "a.parquet", schema={"m": "dict?"}), tmp_path / "store")


def test_a_column_that_may_be_missing_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "1.parquet", [{"n": 1}])
    step = LoadParquet(path, schema={"m": "int?", "o": "dict?"})
    assert step.columns({}) == {"n", "m", "o"}
    assert rows_of(step, tmp_path / "store") == [{"n": 1, "m": None, "o": None}]
