"""Rows go to Parquet and back in any of their forms; the same rows are the same bytes, and memory stays flat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from potstill.engine.rows import files as rows
from potstill.errors import BadInput


def written(made: Any, folder: Path) -> list[bytes]:
    rows.write(made, folder)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_all_forms_of_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    columns = {"id": [str(number) for number in range(25_000)], "n": list(range(25_000))}
    dicts = [{"id": name, "n": number} for name, number in zip(*columns.values(), strict=True)]
    forms = [
        dicts,
        iter(dicts),
        Dataset.from_dict(columns),
        pd.DataFrame(columns),
        pa.table(columns),
        Dataset.from_dict(columns).map(lambda row: row),
        pa.table(columns).to_reader(max_chunksize=700),
    ]
    result = [written(form, tmp_path / str(number)) for number, form in enumerate(forms)]
    assert all(files == result[0] for files in result)
    read = rows.read(tmp_path / "0", tmp_path / "scratch")
    assert read.to_dict() == columns


def test_a_reader_without_rows_still_has_columns(tmp_path: Path) -> None:
    assert rows.write(pa.schema([("n", pa.int64())]).empty_table().to_reader(), tmp_path) == 0
    assert rows.read(tmp_path, tmp_path).column_names == ["n"]


def test_the_count_is_returned_and_parts_have_a_fixed_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GROUP_ROWS", 10)
    monkeypatch.setattr(rows, "PART_GROUPS", 2)
    assert rows.write(({"n": number} for number in range(45)), tmp_path / "d") == 45
    files = sorted((tmp_path / "d").iterdir())
    assert [pq.read_table(file).num_rows for file in files] == [20, 20, 5]
    assert rows.read(tmp_path / "d", tmp_path)["n"][:] == list(range(45))


def test_rows_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GROUP_ROWS", 10)
    seen = []

    def source() -> Iterator[dict[str, int]]:
        for number in range(1000):
            seen.append(sum(path.stat().st_size for path in tmp_path.glob("d/*")))
            yield {"n": number}

    rows.write(source(), tmp_path / "d")
    assert seen[-1] > seen[500] > seen[0]


def test_large_rows_are_mapped_and_two_inputs_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 0)
    for name in ("one", "two"):
        rows.write([{"text": name}] * 1000, tmp_path / "artifacts" / name / "data")
    one, two, again = (
        rows.read(tmp_path / "artifacts" / name / "data", tmp_path / "scratch") for name in ("one", "two", "one")
    )
    assert one.cache_files
    assert (set(one["text"]), set(two["text"]), set(again["text"])) == ({"one"}, {"two"}, {"one"})


def test_inputs_have_fingerprints_of_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows.write([{"text": name}], tmp_path / name / "data" / "train")
    one, two = (rows.read(tmp_path / name / "data" / "train", tmp_path) for name in ("one", "two"))
    assert one._fingerprint != two._fingerprint


def test_no_rows_keep_their_columns_where_they_are_known(tmp_path: Path) -> None:
    empty = Dataset.from_dict({"a": ["x"]}).filter(lambda row: False)
    assert rows.write(empty, tmp_path / "a") == 0
    assert rows.read(tmp_path / "a", tmp_path).column_names == ["a"]
    assert rows.write([], tmp_path / "b") == 0
    assert len(rows.read(tmp_path / "b", tmp_path)) == 0


def test_a_folder_without_its_files_is_not_read_as_no_rows(tmp_path: Path) -> None:
    rows.write([{"n": 1}], tmp_path / "a")
    (tmp_path / "empty").mkdir()
    one, two = ["part-00000.parquet"], ["part-00001.parquet"]
    for folder, names in (("gone", None), ("empty", None), ("gone", one), ("a", two)):
        with pytest.raises(FileNotFoundError):
            rows.read(tmp_path / folder, tmp_path, names)
    assert len(rows.read(tmp_path / "gone", tmp_path, [])) == 0


def test_only_the_files_that_are_named_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows.write([{"n": name}], tmp_path / name)
    (tmp_path / "b" / "part-00000.parquet").rename(tmp_path / "a" / "part-00001.parquet")
    assert rows.read(tmp_path / "a", tmp_path, ["part-00000.parquet"])["n"][:] == ["a"]


def test_nested_values_and_numpy_arrays_keep_their_types(tmp_path: Path) -> None:
    rows.write(
        [{"ids": np.array([1, 2], np.int32), "logs": [np.array([0.5], np.float32)], "none": None}], tmp_path / "a"
    )
    row = pq.read_schema(tmp_path / "a" / "part-00000.parquet")
    assert (row.field("ids").type, row.field("logs").type) == (pa.list_(pa.int32()), pa.list_(pa.list_(pa.float32())))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([{"a": 1}, "text"], "row 1 is a str, not a dict: 'text'"),
        ([{"a": 1}, {"a": "text"}], "row 1, column 'a' holds a text ('text'), but a whole number in row 0"),
        ([{}, {}], "all 2 rows are empty: give them columns"),
    ],
)
def test_what_makes_no_table_is_refused(tmp_path: Path, made: Any, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        rows.write(made, tmp_path / "a")
    assert not list(tmp_path.glob("a/*"))


def test_what_is_rows() -> None:
    assert all(map(rows.is_rows, ([], iter([]), pd.DataFrame(), pa.table({}), Dataset.from_dict({}))))
    assert not any(map(rows.is_rows, ("text", {}, Path(), 5, None)))
