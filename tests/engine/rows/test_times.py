"""Times and durations of any library come back as exact as they were, or are refused by row and column."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from potstill.engine.rows import files
from potstill.errors import BadInput

DAY, TICK = datetime.timedelta(days=1), pd.Timedelta(1)


def read_back(values: list[Any], folder: Path) -> list[Any]:
    files.write([{"v": value} for value in values], folder / "data")
    return list(files.read(folder / "data", folder / "scratch")["v"][:])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([TICK, None], [TICK, None]),
        ([[TICK], [DAY]], [[TICK], [DAY]]),
        ([{"a": TICK}], [{"a": TICK}]),
        ([DAY, np.timedelta64(1, "s"), pd.NaT, TICK], [DAY, datetime.timedelta(seconds=1), None, TICK]),
        ([np.timedelta64(1, "s"), np.timedelta64(1, "ns")], [datetime.timedelta(seconds=1), TICK]),
        ([np.timedelta64(1, "W"), np.timedelta64("NaT", "D")], [7 * DAY, None]),
        ([np.array([1, 2], "m8[D]")], [[DAY, 2 * DAY]]),
        (
            [np.datetime64("1970-01-02T00:00:00.123456789000")],
            [pd.Timestamp("1970-01-02T00:00:00.123456789")],
        ),
    ],
)
def test_no_duration_and_no_time_loses_its_nanoseconds(given: list[Any], expected: list[Any], tmp_path: Path) -> None:
    assert read_back(given, tmp_path) == expected


@pytest.mark.parametrize(
    "value",
    [
        np.datetime64("1970-01-02T00:00:00.123456789123"),
        np.array([1], "M8[ps]"),
        np.timedelta64(1, "ps"),
        np.timedelta64(1, "M"),
        np.timedelta64(10**9, "D"),
        datetime.timedelta.max,
        np.datetime64("20000-01-01"),
        pd.Timestamp(np.datetime64("20000-01-01", "s")),
    ],
)
def test_what_columns_can_not_hold_exactly_is_named(value: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"row 1, column 'v(\[\])?' holds .*, which can't be kept: "):
        files.write([{"v": None}, {"v": value}], tmp_path)


def test_a_frames_durations_keep_theirs(tmp_path: Path) -> None:
    frame = pd.DataFrame({"v": pd.Series([TICK, None], dtype=object)})
    files.write(frame, tmp_path / "data")
    assert files.read(tmp_path / "data", tmp_path / "scratch")["v"][:] == [TICK, None]


BEYOND = [
    pa.array([None, 2_932_897], pa.int32()).view(pa.date32()),
    pa.array([None, -719_163], pa.int32()).view(pa.date32()),
    *(
        pa.array([None, second * 1000**place], pa.int64()).view(pa.timestamp(unit, zone))
        for second in (253_402_300_800, -62_135_596_801)
        for place, unit in enumerate(("s", "ms", "us"))
        for zone in (None, "UTC")
    ),
]


BEYOND += [pa.array([None, 1_000_000_001], pa.time64("ns"))]


@pytest.mark.parametrize("array", BEYOND, ids=lambda array: str(array.type))
def test_times_that_no_reader_gives_back_are_named_wherever_they_are(array: pa.Array, tmp_path: Path) -> None:
    inside = pa.StructArray.from_arrays([array], ["x"])
    listed = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), inside)
    for column in (array, inside, listed, array.dictionary_encode()):
        with pytest.raises(BadInput, match="column 'v' holds times outside of the years 1 to 9999"):
            files.write(pa.table({"v": column}), tmp_path)
        assert not list(tmp_path.iterdir())


def test_the_first_and_the_last_times_are_kept(tmp_path: Path) -> None:
    ends = [datetime.datetime.min, datetime.datetime.max, None]
    assert read_back(ends, tmp_path / "times") == ends
    days = [datetime.date.min, datetime.date.max]
    assert read_back([[day] for day in days], tmp_path / "dates") == [[day] for day in days]
