"""A run that was stopped and goes on writes the bytes of an undisturbed one, whatever types its rows hold."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from potstill import Pipeline, Rows, Step, StepFailed
from potstill.engine.progress import Silent
from potstill.steps import LoadRows, Map, MapBatches

BERLIN = ZoneInfo("Europe/Berlin")
MAKERS: dict[str, Callable[[int], Any]] = {
    "zones": lambda n: dt.datetime(2020, 10, 25, 2, 30, n, tzinfo=BERLIN, fold=n % 2),
    "offsets": lambda n: dt.datetime(2020, 1, 1, n, tzinfo=dt.timezone(dt.timedelta(hours=3))),
    "dates": lambda n: dt.date(2020, 1, 1 + n),
    "times of day": lambda n: dt.time(n, tzinfo=None),
    "durations": lambda n: dt.timedelta(n, 1, 1),
    "decimals": lambda n: Decimal(n) / 8,
    "bytes": lambda n: bytes([n]),
    "NumPy's float32": lambda n: np.float32(n / 10),
    "NumPy's arrays": lambda n: np.arange(n, dtype=np.int16),
    "NumPy's times": lambda n: np.datetime64("2020-01-01T00:00:00.000000001") + n,
    "pandas' times": lambda n: pd.Timestamp(2020, 1, 1 + n, tz="Europe/Berlin"),
    "tuples": lambda n: (n, n / 2) if n % 2 else [n, 0.5],
    "nested": lambda n: {"a": [{"at": dt.datetime(2020, 7, 1 + n, tzinfo=BERLIN)}] * n, "b": (Decimal(n),)},
    "missing ones": lambda n: None if n % 2 else dt.datetime(2020, 1, 1 + n, tzinfo=BERLIN),
}


def one(row: dict[str, Any]) -> dict[str, Any]:
    if os.environ.get("STOP_AT") == str(row["n"]):
        raise KeyboardInterrupt
    return {what: make(row["n"]) for what, make in MAKERS.items()}


def many(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one(row) for row in batch]


class Own(Step):
    """A user's own step."""

    rows: Rows

    def run(self, rows: Any, context: Any) -> Any:
        return context.each(rows, one)


KINDS: dict[str, Callable[[Any], Step]] = {
    "Map": lambda rows: Map(rows, one),
    "MapBatches": lambda rows: MapBatches(rows, many, batch_size=2),
    "a step of one's own": Own,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_writes_the_same_bytes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(store: Path) -> Any:
        rows = LoadRows([{"n": number} for number in range(6)])
        return Pipeline("p", outputs={"rows": KINDS[kind](rows)}).run(store=store, watcher=Silent())["rows"]

    undisturbed = run(tmp_path / "undisturbed")
    monkeypatch.setenv("STOP_AT", "3")
    with pytest.raises(StepFailed):  # in the step's own process
        run(tmp_path / "stopped")
    monkeypatch.delenv("STOP_AT")
    resumed = run(tmp_path / "stopped")
    assert resumed.digest() == undisturbed.digest()
    assert resumed.dataset().to_list() == undisturbed.dataset().to_list()
