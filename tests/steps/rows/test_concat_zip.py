"""Rows below one another and side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.columns import Select
from potstill.steps.rows.concat_zip import Concat, Zip
from potstill.steps.rows.group_explode import Explode
from potstill.steps.rows.join import Join
from potstill.steps.rows.sort_sample import Sort
from running import artifact_of, problems_of, rows_of

WHOLE = LoadRows([{"t": "a", "n": 1}, {"t": "b", "n": 2}])
BROKEN = LoadRows([{"n": 0.5, "t": "c"}])
BARE = LoadRows([{"t": "d"}])


def test_concat_goes_by_name_and_widens_numbers(tmp_path: Path) -> None:
    rows = rows_of(Concat([Sort(WHOLE, "n", descending=True), BROKEN, WHOLE]), tmp_path)
    assert [(row["t"], row["n"]) for row in rows] == [("b", 2.0), ("a", 1.0), ("c", 0.5), ("a", 1.0), ("b", 2.0)]
    assert rows_of(Concat([BARE, WHOLE], fill=True), tmp_path)[0] == {"t": "d", "n": None}


def test_columns_that_some_lack(tmp_path: Path) -> None:
    (problem,) = problems_of(Concat([WHOLE, BARE]))
    assert "the columns differ: input 1 lacks n" in problem
    assert "fill=True" in problem
    assert problems_of(Select(Concat([WHOLE, BARE], fill=True), ["n"])) == []
    assert "it has n, t" in problems_of(Select(Concat([WHOLE, BARE], fill=True), ["m"]))[0]
    with pytest.raises(RequestError, match=r"column 'n' of input 1 does not go with those before it"):
        rows_of(Concat([WHOLE, LoadRows([{"t": "x", "n": "y"}])]), tmp_path)


def test_zip(tmp_path: Path) -> None:
    labels = LoadRows([{"label": [1]}, {"label": []}])
    step = Zip([Sort(WHOLE, "n", descending=True), labels])
    assert rows_of(step, tmp_path) == [{"t": "b", "n": 2, "label": [1]}, {"t": "a", "n": 1, "label": []}]
    assert step.estimate({"rows": 4}).rows == 2
    assert "several have a column t" in problems_of(Zip([WHOLE, BARE]))[0]
    with pytest.raises(RequestError, match="there are 2, 1 rows, not equally many"):
        rows_of(Zip([WHOLE, Select(LoadRows([{"x": 1}]), ["x"])]), tmp_path)


def test_more_rows_than_a_batch(tmp_path: Path) -> None:
    many = LoadRows([{"n": number} for number in range(12_000)])
    both = Zip([many, LoadRows([{"m": number} for number in range(12_000)])])
    assert all(row["n"] == row["m"] for row in rows_of(both, tmp_path))
    assert [row["n"] for row in rows_of(Concat([many, many]), tmp_path)] == list(range(12_000)) * 2


def test_what_is_known_of_columns_stays(tmp_path: Path) -> None:
    names = ClassLabel(names=["no", "yes"])
    known = LoadRows(
        Dataset.from_dict({"l": [0, 1], "t": [["a"], ["b", "c"]]}, Features({"l": names, "t": List(Value("string"))}))
    )
    other = LoadRows(
        Dataset.from_dict(
            {"l": [0], "t": [["a"]]}, Features({"l": ClassLabel(names=["a", "b"]), "t": List(Value("string"))})
        )
    )
    bare = LoadRows([{"n": 1}, {"n": 2}])
    joined = Join(known, LoadRows([{"l": 1, "q": "x"}]), on="l", how="left")
    for step in (Concat([known, known]), Zip([known, bare]), Explode(known, "t"), joined):
        assert artifact_of(step, tmp_path).dataset().features["l"] == names, step
    with pytest.raises(RequestError, match=r"column 'l' is .*give it one meaning"):
        artifact_of(Concat([known, other]), tmp_path)


def test_objects_with_keys_of_their_own_beside_fields(tmp_path: Path) -> None:
    fields, free = LoadRows([{"o": {"a": 1}}]), LoadRows([{"o": {"b": 1}}, {"o": {}}])
    expected = [{"o": {"a": 1}}, {"o": {"b": 1}}, {"o": {}}]
    assert rows_of(Concat([fields, free]), tmp_path) == expected
    assert rows_of(Concat([fields, LoadRows([{"o": {"b": 1}}])]), tmp_path) == expected[:2]
