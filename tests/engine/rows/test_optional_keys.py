"""Objects that lack some keys come back without them, and lie in Parquet as fields that any reader knows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from potstill.engine.rows import files
from potstill.steps.loading.parquet_files import LoadParquet
from running import rows_of


def written(folder: Path, cells: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return a column as Potstill reads it and as another reader of Parquet does."""
    files.write(({"v": cell} for cell in cells), folder / "data")
    ours = files.read(folder / "data", folder / "scratch")["v"]
    return list(ours), pq.read_table(next((folder / "data").glob("*.parquet")))["v"].to_pylist()


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("early", [1, 3, 10_000])
def test_a_late_key_is_a_field_and_no_row_gets_it_that_had_none(tmp_path, early):
    cells = [{"a": 1}] * early + [{"a": 1, "b": 2}]
    ours, others = written(tmp_path, cells)
    assert same(ours, cells)
    assert others[-1] == {"a": 1, "b": 2} and others[0] == {"a": 1, "b": None}


@pytest.mark.parametrize(
    "cells",
    [
        [{"k1": 1}, {"k2": 2}, {"k3": 3}],  # no object has all keys: what they have in common is nothing
        [{"a": None}, {"a": 1, "b": 2}],  # None is not the same as no key
        [{"a": 1}, {"a": 0.5, "b": 2}],
        [{"a": 1}, {"a": "x", "b": 2}],
        [{"a": {}}, {"a": {"c": 1}, "b": 2}],
        [{"a": 2**70}, {"a": 1, "b": 2}],
    ],
)
def test_objects_that_no_fields_can_hold_are_texts(tmp_path, cells):
    ours, others = written(tmp_path, cells)
    assert same(ours, cells)
    assert [json.loads(text) for text in others] == cells


def test_empty_and_missing_objects_stay_apart(tmp_path):
    cells = [None, {}, {"a": "x"}, {"a": "y", "b": [1, 2]}]
    ours, others = written(tmp_path, cells)
    assert same(ours, cells)
    assert others == [None, {"a": None, "b": None}, {"a": "x", "b": None}, {"a": "y", "b": [1, 2]}]


def test_what_was_read_is_written_as_the_same_bytes(tmp_path):
    written(tmp_path / "one", [{"a": 1}, {"a": 1, "b": 2}])
    files.write(files.read(tmp_path / "one" / "data", tmp_path / "scratch"), tmp_path / "two")
    folders = (tmp_path / "one" / "data", tmp_path / "two")
    first, second = (next(folder.glob("*.parquet")).read_bytes() for folder in folders)
    assert first == second


def test_random_objects_come_back_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "GROUP_ROWS", 3)
    draw = random.Random(0)
    values = [
        lambda: draw.randint(-5, 5),
        lambda: draw.random(),
        lambda: "x" * draw.randint(0, 3),
        lambda: None,
        lambda: True,
        lambda: [1] * draw.randint(0, 2),
        lambda: {"k": draw.randint(0, 1)},
    ]
    for number in range(60):
        kinds = draw.sample(values, draw.randint(1, 4))
        names = "abc"[: draw.randint(1, 3)]
        cells = [
            None if draw.random() < 0.1 else {name: draw.choice(kinds)() for name in names if draw.random() < 0.7}
            for _ in range(draw.randint(1, 12))
        ]
        try:
            ours, _ = written(tmp_path / str(number), cells)
        except files.BadInput:
            continue
        assert ours == cells  # a whole number among others is one of theirs, 5 or 5.0


WRAPS = [lambda v: [v], lambda v: {"x": v, "y": None}, lambda v: [{"role": "u", "args": v}] * 2]


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_late_key_anywhere_in_a_column(tmp_path, monkeypatch, wrap):
    for size in (2, 10_000):
        monkeypatch.setattr(files, "GROUP_ROWS", size)
        cells = [*map(wrap, [{"a": 1}, {"a": 2}, {}, {"a": 1, "b": "x"}]), None]
        ours, others = written(tmp_path / str(size), cells)
        assert same(ours, cells)
        assert others[3] == wrap({"a": 1, "b": "x"}) and others[0] == wrap({"a": 1, "b": None})
    result = LoadParquet(str(tmp_path / "2" / "data" / "*.parquet"))
    assert same([row["v"] for row in rows_of(result, tmp_path / "store")], cells)


def test_two_places_of_one_column_are_looked_at_apart(tmp_path):
    cells = [[{"o": {"a": 1}, "p": {"x": None}}], [{"o": {"a": 1, "b": 2}, "p": {"y": 1}}]]
    ours, others = written(tmp_path, cells)
    assert same(ours, cells)
    assert others[1] == [{"o": {"a": 1, "b": 2}, "p": '{"y": 1}'}]
