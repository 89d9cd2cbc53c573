"""Random rows in random pieces come back as they were, whatever types they mix, or are refused by row and column."""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from potstill.engine.rows import files as rows
from potstill.errors import BadInput

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5))

MAKERS: dict[str, Callable[[random.Random], Any]] = {
    "whole": lambda draw: draw.randint(-(2**63), 2**63 - 1),
    "small and fraction": lambda draw: draw.choice([1, 0.5, -3, draw.uniform(-1e9, 1e9)]),
    "text": lambda draw: "".join(draw.choice("aß語😀\n") for _ in range(draw.randint(0, 9))),
    "truth": lambda draw: draw.random() < 0.5,
    "bytes": lambda draw: draw.randbytes(3),
    "date": lambda draw: datetime.date(2024, 1, draw.randint(1, 28)),
    "moment": lambda draw: datetime.datetime(2024, 1, 1, draw.randint(0, 23), 30, 1, draw.randint(0, 9)),
    "zoned": lambda draw: datetime.datetime(2024, 1, 1, draw.randint(0, 23), tzinfo=draw.choice([UTC, EAST])),
    "decimal": lambda draw: draw.choice([Decimal("1.5"), Decimal("-100.125"), 7]),
    "list": lambda draw: [draw.choice([1, 2.5]) for _ in range(draw.randint(0, 3))],
    "object": lambda draw: {"a": draw.choice([None, 1, 2.5]), "b": draw.choice(["x", None])},
    "free": lambda draw: {
        name: draw.choice([None, 1, "x", 0.1, {}]) for name in draw.sample("abcd", draw.randint(0, 3))
    },
    "calls": lambda draw: [{"name": "f", "arguments": MAKERS["free"](draw)} for _ in range(draw.randint(0, 2))],
    "empty": lambda draw: draw.choice([{}, None]),
    "nothing": lambda draw: None,
}


def drawn(kind: str, draw: random.Random, count: int) -> list[dict[str, Any]]:
    """Draw rows of one kind of value, which may come late, be missing, or lack its key."""
    late = draw.choice([0, 0, count // 2, count - 1])
    result = []
    for number in range(count):
        row: dict[str, Any] = {"n": number}
        if number >= late and draw.random() < 0.9:
            row["v"] = MAKERS[kind](draw) if draw.random() < 0.9 else None
        result.append(row)
    result[-1]["v"] = MAKERS[kind](draw)
    return result


@pytest.mark.parametrize("kind", MAKERS)
def test_random_rows_come_back_equal(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(kind)
    for attempt in range(12):
        monkeypatch.setattr(rows, "GROUP_ROWS", draw.choice([1, 2, 3, 7]))
        monkeypatch.setattr(rows, "GROUP_BYTES", draw.choice([1, 100, 2**20]))
        monkeypatch.setattr(rows, "PART_GROUPS", draw.choice([1, 2, 50]))
        monkeypatch.setattr(rows, "IN_MEMORY_UNPACKED", draw.choice([0, 2**20]))
        given = drawn(kind, draw, draw.randint(1, 20))
        folder = tmp_path / str(attempt)
        assert rows.write(iter(given), folder / "a") == len(given)
        read = rows.read(folder / "a", folder / "scratch")
        expected = [{"v": None, **row} for row in given]
        assert read.to_list() == expected == list(read)
        assert sorted(path.name for path in (folder / "a").iterdir())[0] == "part-00000.parquet"
        rows.write(read, folder / "b")
        assert rows.read(folder / "b", folder / "scratch").to_list() == expected


@pytest.mark.parametrize("size", [1, 3, 100])
def test_rows_before_the_first_column_are_kept(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GROUP_ROWS", size)
    assert rows.write(iter([{}] * 7 + [{"v": 1}]), tmp_path / "a") == 8
    assert rows.read(tmp_path / "a", tmp_path / "scratch")["v"] == [None] * 7 + [1]


CLASHES = [
    (1, "x", "holds a text ('x'), but a whole number in row 0"),
    ("x", b"x", "holds bytes (b'x'), but a text in row 0"),
    (True, 2, "holds a whole number (2), but true or false in row 0"),
    (Decimal("1.5"), 0.5, "holds a number (0.5), but a decimal number in row 0"),
    (datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=UTC), "but a time without a zone in row 0"),
    (0.5, 2**60 + 1, "holds 1152921504606846977, which is changed where other rows have fractions"),
    ("x", 2**70, "holds a whole number"),
]


@pytest.mark.parametrize(("first", "later", "message"), CLASHES)
def test_what_does_not_go_together_is_refused_by_row_and_column(
    first: Any, later: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [{"v": first}] * 5 + [{"v": later}]
    for number, size in enumerate((100, 5, 2)):  # in one piece, in two, and in many
        monkeypatch.setattr(rows, "GROUP_ROWS", size)
        with pytest.raises(BadInput) as error:
            rows.write(iter(given), tmp_path / str(number))
        text = str(error.value)
        assert "column 'v" in text
        assert "row 5" in text or size < 100, text
        assert message in text or size < 100, text
        assert not list((tmp_path / str(number)).iterdir())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, "row 3, column 'v' holds a whole number of more than 64 bits: 18446744073709551616"),
        ("half \ud83d", "row 3, column 'v' holds half a character (U+D83D at 6)"),
        ([{"c": ["\ud83d"]}], "row 3, column 'v[].c[]' holds half a character"),
        ({1: "x"}, "the key 1 is no text"),
        ({"x"}, "row 3, column 'v' holds a set, which has no place in a row"),
        (object, "row 3, column 'v' holds a type"),
        (Decimal("NaN"), "row 3, column 'v' holds NaN"),
    ],
)
def test_what_has_no_place_is_named(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        rows.write([{"v": None}, {}, {"v": None}, {"v": value}], tmp_path)
    assert message in str(error.value)


def holding_itself() -> dict[str, Any]:
    """Return an object that is a value of its own."""
    own: dict[str, Any] = {}
    own["own"] = own
    return own


def nested(value: Any, levels: int) -> Any:
    """Return a value in lists in lists."""
    return value if not levels else [nested(value, levels - 1)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (holding_itself(), r"row 1, column 'v' is nested too deep, or holds itself"),
        ({"a": [holding_itself()]}, r"row 1, column 'v' is nested too deep, or holds itself"),
        (nested(1, 60), r"column 'v' is nested more than 48 levels deep"),
        (nested({"a": 1}, 300), r"column 'v' is nested"),
        (datetime.time(1, tzinfo=EAST), r"row 1, column 'v' holds 01:00:00\+05:00, a time of day with a zone"),
        ({"\ud83d": 1}, r"row 1, column 'v' holds half a character"),
        ({"a\0": 1}, r"column 'v' has a NUL in its name or a key"),
    ],
)
def test_what_no_reader_gives_back_is_named(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        rows.write([{"v": None}, {"v": value}], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_column_has_no_nul_in_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"column 'a\\x00' has a NUL in its name"):
        rows.write(pa.table({"a\0": [1]}), tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([np.array(5), None], [5, None]),
        ([np.ma.array([1, 2], mask=[False, True]), [3]], [[1, None], [3]]),
        ([np.ma.masked, 1], [None, 1]),
        ([np.array([5], np.uint64), np.array([-5])], [[5], [-5]]),
        ([np.array([5], np.int8), np.array([300], np.int16)], [[5], [300]]),
        ([np.int8(5), np.int16(300), 70_000], [5, 300, 70_000]),
        ([np.float32(0.5), np.float64(0.1), 0.2], [0.5, 0.1, 0.2]),
        ([np.array([5]), np.array([0.5])], [[5.0], [0.5]]),
        ([nested(1, 48), nested(2, 48)], [nested(1, 48), nested(2, 48)]),
    ],
)
def test_numbers_of_other_libraries_are_kept(given: list[Any], expected: list[Any], tmp_path: Path) -> None:
    rows.write([{"v": value} for value in given], tmp_path / "rows")
    assert rows.read(tmp_path / "rows", tmp_path / "scratch")["v"][:] == expected


def test_arrays_whose_numbers_would_change_together_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"row 0, column 'v\[\]' holds 1152921504606846977, which is changed"):
        rows.write([{"v": np.array([2**60 + 1])}, {"v": np.array([0.5])}], tmp_path)


def test_thousands_of_columns_cost_what_their_values_do(tmp_path: Path) -> None:
    wide = [{f"c{number}": number for number in range(4_000)}] * 2
    started = time.process_time()
    rows.write(wide, tmp_path / "rows")
    assert time.process_time() - started < 8  # a look at all columns for each takes a minute
    assert list(rows.read(tmp_path / "rows", tmp_path / "scratch")) == wide


def test_objects_with_keys_of_their_own_hold_what_json_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (10, 1):
        monkeypatch.setattr(rows, "GROUP_ROWS", size)
        with pytest.raises(BadInput, match=r"row 0, .* an object with keys of its own, in which datetime.dat"):
            rows.write([{"v": {"a": datetime.date(2024, 1, 1)}}, {"v": {"b": 1}}], tmp_path)
    for key in (None, True, 1, 1.5, b"k"):
        with pytest.raises(BadInput, match=rf"the key {key!r} is no text"):
            rows.write([{"v": {key: 1}}], tmp_path)
    rows.write([{"v": {"a": datetime.date(2024, 1, 1)}}, {"v": {"a": None}}], tmp_path)
    assert rows.read(tmp_path, tmp_path)["v"][:] == [{"a": datetime.date(2024, 1, 1)}, {"a": None}]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GROUP_ROWS", 2)
    seen = []

    def source() -> Iterator[dict[Any, Any]]:
        for number in range(10):
            seen.append(number)
            yield {"a": "\ud800" if number == 3 else "x", "b": number if number < 7 else "late", "c": number}
        yield {"a": "x", 5: 1}

    with pytest.raises(BadInput) as error:
        rows.write(source(), tmp_path)
    text = str(error.value)
    assert all(
        part in text for part in ("row 3, column 'a'", "row 7, column 'b'", "row 10, column '5' is named by a int")
    )
    assert seen == list(range(10))
    assert not list(tmp_path.iterdir())


def test_numbers_in_objects_are_exact(tmp_path: Path) -> None:
    draw = random.Random(0)
    given = [{"v": {str(number % 3): draw.uniform(-1, 1) * 10 ** draw.randint(-300, 300)}} for number in range(300)]
    given += [{"v": {"big": 2**200, "tiny": 5e-324}}]
    rows.write(given, tmp_path / "a")
    read = rows.read(tmp_path / "a", tmp_path)
    assert read.to_list() == given
    assert read.to_pandas()["v"].tolist() == [row["v"] for row in given]
    assert read.map(lambda row: {"w": row["v"]}).to_list() == [{"v": row["v"], "w": row["v"]} for row in given]


def test_the_layout_does_not_depend_on_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    monkeypatch.setattr(rows, "GROUP_ROWS", 10)
    monkeypatch.setattr(rows, "GROUP_BYTES", 3000)
    monkeypatch.setattr(rows, "PART_GROUPS", 3)
    columns = {"t": ["x" * (number * 37 % 900) for number in range(100)], "n": list(range(100))}
    table = pa.table(columns)
    forms = [
        table,
        table.to_reader(max_chunksize=3),
        (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)),
        pa.concat_tables([table.slice(0, 33), table.slice(33)]),
    ]
    result = []
    for number, form in enumerate(forms):
        rows.write(form, tmp_path / str(number))
        result.append([path.read_bytes() for path in sorted((tmp_path / str(number)).iterdir())])
    assert len(result[0]) > 3
    assert all(files == result[0] for files in result)


@pytest.mark.parametrize("deep", [{}, [{}], {"a": {}}, [{"a": [{}]}], {"a": [{}], "b": 1}])
def test_empty_objects_anywhere(deep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"v": deep}, {"v": None}, {"v": deep, "w": deep}]
    for size in (1, 10):
        monkeypatch.setattr(rows, "GROUP_ROWS", size)
        rows.write(given, tmp_path / str(size))
        read = rows.read(tmp_path / str(size), tmp_path)
        assert read.to_list() == [{"w": None, **row} for row in given]
        rows.write(read.select([]), tmp_path / f"{size} none")
        assert rows.read(tmp_path / f"{size} none", tmp_path).column_names == ["v", "w"]
