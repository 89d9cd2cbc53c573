"""Sorting, shuffling, taking, skipping, sharding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.sort_sample import Shard, Shuffle, Skip, Sort, Take
from running import problems_of, rows_of

NUMBERS = LoadRows([{"n": number} for number in range(25)])


def ns(step: Any, store: Path) -> list[int]:
    return [row["n"] for row in rows_of(step, store)]


def test_sort_is_stable_and_missing_values_are_last(tmp_path: Path) -> None:
    rows = LoadRows([{"a": a, "n": number} for number, a in enumerate(["b", None, "a", "B", "a"])])
    assert ns(Sort(rows, "a"), tmp_path) == [3, 2, 4, 0, 1]
    assert ns(Sort(rows, ["a", "n"], descending=[False, True]), tmp_path) == [3, 4, 2, 0, 1]
    assert ns(Sort(rows, "a", descending=True), tmp_path) == [0, 2, 4, 3, 1]


def test_what_can_not_be_sorted(tmp_path: Path) -> None:
    lists = LoadRows([{"a": [1]}, {"a": [0]}])
    with pytest.raises(RequestError, match=r"no order \(a holds list"):
        rows_of(Sort(lists, "a"), tmp_path)
    assert "says 1 directions for 2 columns" in problems_of(Sort(NUMBERS, ["n", "n"], descending=[True]))[0]
    assert "names no column" in problems_of(Sort(NUMBERS, []))[0]


def test_shuffle_keeps_all_rows_and_depends_on_the_seed_alone(tmp_path: Path) -> None:
    drawn = ns(Shuffle(NUMBERS), tmp_path / "1")
    assert sorted(drawn) == list(range(25)) != drawn
    assert ns(Shuffle(NUMBERS), tmp_path / "2") == drawn != ns(Shuffle(NUMBERS, seed=1), tmp_path / "2")


def test_take_and_skip_part_the_rows(tmp_path: Path) -> None:
    assert ns(Take(NUMBERS, 3), tmp_path) == [0, 1, 2]
    assert ns(Take(NUMBERS, 99), tmp_path) == list(range(25))
    assert ns(Skip(NUMBERS, 22), tmp_path) == [22, 23, 24]
    assert ns(Skip(NUMBERS, 99), tmp_path) == []
    assert (Take(NUMBERS, 3).estimate({"rows": 25}).rows, Skip(NUMBERS, 3).estimate({"rows": 25}).rows) == (3, 22)
    assert ns(Take(Skip(Sort(NUMBERS, "n", descending=True), 2), 2), tmp_path) == [22, 21]


def test_shards_hold_every_row_once(tmp_path: Path) -> None:
    shards = [Shard(NUMBERS, count=3, index=index) for index in range(3)]
    assert sorted(n for shard in shards for n in ns(shard, tmp_path)) == list(range(25))
    assert [shard.estimate({"rows": 25}).rows for shard in shards] == [9, 8, 8]
    assert "must be < count=3" in problems_of(Shard(NUMBERS, count=3, index=3))[0]


def test_rows_that_are_in_order_already_and_texts_of_any_kind(tmp_path: Path) -> None:
    table = pa.table({"t": pa.array(["a", "b"], pa.string_view()), "d": pa.array(["x", "y"]).dictionary_encode()})
    for by in ("t", "d"):
        assert rows_of(Sort(LoadRows(table), by), tmp_path) == [{"t": "a", "d": "x"}, {"t": "b", "d": "y"}]
        assert rows_of(Sort(LoadRows(table), by, descending=True), tmp_path)[0] == {"t": "b", "d": "y"}
