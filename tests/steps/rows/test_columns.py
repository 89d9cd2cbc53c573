"""Columns are chosen, renamed and left out; a name that is not there is found before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill import Step
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.columns import Drop, Rename, Select
from running import problems_of, rows_of

ROWS = LoadRows([{"id": "a", "text": "x", "note": 1}])


def test_select_drop_and_rename(tmp_path: Path) -> None:
    assert [list(row) for row in rows_of(Select(ROWS, ["note", "id"]), tmp_path)] == [["note", "id"]]
    assert rows_of(Drop(ROWS, ["note", "id"]), tmp_path) == [{"text": "x"}]
    assert rows_of(Rename(ROWS, {"id": "text", "text": "id"}), tmp_path) == [{"text": "a", "id": "x", "note": 1}]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            Select(ROWS, ["txt"]),
            "needs column txt, which LoadRows does not make (it has id, note, text): did you mean text?",
        ),
        (Drop(ROWS, ["id", "nota"]), "needs column nota"),
        (Rename(ROWS, {"texts": "instruction"}), "did you mean text?"),
        (Select(ROWS, []), "names no column"),
        (Select(ROWS, ["id", "id"]), "names column 'id' 2 times"),
        (Rename(ROWS, {"id": "x", "note": "x"}), "names column 'x' 2 times"),
        (Rename(ROWS, {"id": "text"}), "the rows have a column text already"),
        (Drop(ROWS, ["id", "text", "note"]), "leaves no column"),
    ],
)
def test_wrong_names(step: Step, message: str) -> None:
    (problem,) = problems_of(step)
    assert message in problem


def test_the_columns_that_follow_are_known() -> None:
    renamed = Rename(Drop(ROWS, ["note"]), {"text": "instruction"})
    assert "it has id, instruction" in problems_of(Select(renamed, ["note"]))[0]
