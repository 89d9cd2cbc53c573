"""A function of one's own over rows: its code is keyed, and a bad row is lost alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fakes import context_in
from potstill import StepFailed
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.columns import Select
from potstill.steps.rows.map_rows import Map, MapBatches
from running import artifact_of, problems_of, rows_of

ROWS = LoadRows([{"id": f"r{number}", "n": number} for number in range(6)])


def test_map_adds_changes_and_drops(tmp_path: Path) -> None:
    result = artifact_of(
        Map(ROWS, lambda row: {"n": -row["n"], "odd": row["n"] % 2 == 1} if row["n"] < 3 else None), tmp_path
    )
    assert result.dataset().to_list() == [{"id": f"r{n}", "n": -n, "odd": n % 2 == 1} for n in range(3)]
    assert result.manifest["counts"]["filtered"] == {"dropped by the function": 3}


def test_other_code_is_another_key_and_a_limit_on_failures_is_not(tmp_path: Path) -> None:
    def key(factor: int, **parameters: Any) -> str:
        return artifact_of(Map(ROWS, lambda row: {"n": row["n"] * factor}, **parameters), tmp_path).key

    assert key(2) == key(2, max_failed=0.5) != key(3)


@pytest.mark.parametrize("step", [Map, MapBatches])
def test_one_bad_row_is_lost_alone_and_tried_again(tmp_path: Path, step: Any) -> None:
    calls, fixed = tmp_path / "calls", tmp_path / "fixed"

    def invert(row: dict[str, Any]) -> dict[str, Any]:
        with calls.open("a") as file:
            file.write(f"{row['n']}\n")
        return {**row, "n": 10 // (row["n"] or fixed.exists())}

    if step is Map:
        result = Map(ROWS, invert, max_failed=0.5)
    else:
        result = MapBatches(ROWS, lambda rows: [invert(row) for row in rows], batch_size=4, max_failed=0.5)
    first = artifact_of(result, tmp_path / "store")
    assert [row["id"] for row in first.dataset()] == ["r1", "r2", "r3", "r4", "r5"]
    assert first.manifest["counts"]["failed"] == {"ZeroDivisionError: integer division or modulo by zero": 1}
    fixed.touch()
    calls.unlink()
    assert [row["n"] for row in rows_of(result, tmp_path / "store")] == [10, 10, 5, 3, 2, 2]
    assert calls.read_text().split()[0] == "0"
    assert "5" not in calls.read_text()


def test_a_function_that_fails_or_returns_something_else_fails_the_step(tmp_path: Path) -> None:
    for number, (wrong, message) in enumerate(
        (
            (Map(ROWS, lambda row: 3), "returned a int, not a dict"),
            (Map(ROWS, lambda row: {"m": 1}, adds=["n2"]), "returned m, which adds= does not name"),
            (MapBatches(ROWS, lambda rows: 3), "must return a list of rows"),
            (MapBatches(ROWS, lambda rows: ["x"]), "must return a list of rows"),
        )
    ):
        with pytest.raises(StepFailed, match=message):
            rows_of(wrong, tmp_path / str(number))


def test_named_columns_are_known_before_anything_runs() -> None:
    assert problems_of(Select(Map(ROWS, lambda row: {"words": 1}), ["word"])) == []
    assert (
        "did you mean words?" in problems_of(Select(Map(ROWS, lambda row: {"words": 1}, adds=["words"]), ["word"]))[0]
    )


def test_a_batch_is_one_however_long_its_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("potstill.engine.store.journal.MOST_BYTES", 10_000)  # the batch has 30,000
    monkeypatch.setattr("potstill.steps.rows.map_rows.GROUP_BYTES", 5_000)
    long = LoadRows([{"text": letter * 3_000} for letter in "abcdefghij"])
    result = rows_of(MapBatches(long, lambda batch: [{**row, "of": len(batch)} for row in batch]), tmp_path)
    assert result == [{"text": letter * 3_000, "of": 10} for letter in "abcdefghij"]


def test_a_batch_of_long_texts_ends_at_its_bytes(tmp_path: Path) -> None:
    long = LoadRows([{"text": letter * 1_000} for letter in "abcde"])
    counts = rows_of(MapBatches(long, lambda batch: [{"of": len(batch)}], batch_bytes=2_000), tmp_path)
    assert counts == [{"of": 2}, {"of": 2}, {"of": 1}]


def test_batches_may_grow_and_shrink(tmp_path: Path) -> None:
    halves = MapBatches(ROWS, lambda rows: rows[:1] * 3, batch_size=4)
    assert [row["n"] for row in rows_of(halves, tmp_path)] == [0, 0, 0, 4, 4, 4]


def test_rows_with_dates_and_decimals(tmp_path: Path) -> None:
    row = {"day": date(2024, 1, 2), "at": datetime(2024, 1, 2, 3, 4, 5, 6), "cost": Decimal("1.50")}
    step = Map(LoadRows([row]), lambda row: {"year": row["day"].year})
    assert rows_of(step, tmp_path) == [{**row, "year": 2024}]


def test_what_was_journalled_comes_back_the_same(tmp_path: Path) -> None:
    row = {
        "day": date(2024, 1, 2),
        "at": datetime(2024, 1, 2, 3, tzinfo=UTC),
        "cost": Decimal("1.50"),
        "time": time(3, 4),
    }
    for _ in range(2):
        assert list(context_in(tmp_path).each([row], lambda row: row)) == [row]


def test_what_a_function_changes_in_its_rows_is_its_own(tmp_path: Path) -> None:
    """A batch that fails half way is tried again row by row, on rows that nobody has changed."""
    seeds = LoadRows([{"t": str(number), "tags": ["a"], "deep": {"x": [number]}} for number in range(5)])

    def add(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            row["tags"].append("x")
            row["deep"]["x"][0] += 1
            if row["t"] == "3":
                raise ValueError("bad")
        return rows

    expected = [{"t": str(n), "tags": ["a", "x"], "deep": {"x": [n + 1]}} for n in (0, 1, 2, 4)]
    assert rows_of(MapBatches(seeds, add, max_failed=0.5), tmp_path) == expected

    def drain(row: dict[str, Any]) -> dict[str, Any]:
        return {"last": row["tags"].pop()}

    assert rows_of(Map(seeds, drain), tmp_path)[0] == {"t": "0", "tags": ["a"], "deep": {"x": [0]}, "last": "a"}


@pytest.mark.parametrize("value", [2**70, "half \ud83d", {"deep": [{1, 2}]}, object()])
@pytest.mark.parametrize("step", [Map, MapBatches])
def test_a_row_that_no_column_holds_is_lost_alone(tmp_path: Path, step: Any, value: Any) -> None:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "v": value if row["n"] == 2 else None}

    function = change if step is Map else lambda rows: [change(row) for row in rows]
    result = artifact_of(step(ROWS, function, max_failed=0.5), tmp_path)
    assert result.dataset()["n"][:] == [0, 1, 3, 4, 5]
    assert "column 'v" in next(iter(result.manifest["counts"]["failed"]))
