"""What a step may return as rows: all that it knows is kept, or refused by name."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset, IterableDataset

from potstill.engine.rows import files
from potstill.errors import BadInput


def read_back(given: Any, folder: Path) -> Dataset:
    files.write(given, folder / "data")
    return files.read(folder / "data", folder / "scratch")


FRAME = pd.DataFrame({"label": ["x", "y", "x"], "n": [1, 2, 3]})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (FRAME, FRAME.to_dict("records")),
        (FRAME.groupby("label").sum(), [{"label": "x", "n": 4}, {"label": "y", "n": 2}]),
        (FRAME.set_index(["label", "n"]).assign(m=0), [{**row, "m": 0} for row in FRAME.to_dict("records")]),
        (FRAME.rename_axis("number"), [{"number": n, **row} for n, row in enumerate(FRAME.to_dict("records"))]),
        (FRAME[["n"]].T, [{"0": 1, "1": 2, "2": 3, "__index_level_0__": "n"}]),
        (pd.DataFrame({"v": pd.Categorical(["a", None])}), [{"v": "a"}, {"v": None}]),
        (pd.DataFrame({"v": [1.5, np.nan]}), [{"v": 1.5}, {"v": None}]),
        (pd.DataFrame({"w": [{"a": 1}, {"b": [2]}]}), [{"w": {"a": 1}}, {"w": {"b": [2]}}]),
        (pd.DataFrame({"v": ["x", np.nan, None]}, dtype=object), [{"v": "x"}, {"v": None}, {"v": None}]),
        (pd.DataFrame({"v": pd.array([1, None], "Int64")}), [{"v": 1}, {"v": None}]),
    ],
)
def test_frames_with_their_index(frame: pd.DataFrame, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    assert read_back(frame, tmp_path).to_list() == expected


def with_attrs() -> pd.DataFrame:
    frame = FRAME.copy()
    frame.attrs["unit"] = "kg"
    return frame


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (with_attrs(), "the frame's attrs {'unit': 'kg'} have no place in rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the frame has column 'a' more than once"),
        (FRAME.rename_axis("n"), "the frame's index is named 'n', as a column is"),
        (pd.DataFrame({"p": pd.period_range("2024-01", periods=2, freq="M")}), "column 'p' holds"),
        (pd.DataFrame({"i": pd.cut([1, 5], 2)}), "column 'i' holds"),
        (pd.DataFrame({"c": [1j]}), "column 'c' holds complex128"),
        (
            pd.DataFrame({"v": ["x", 1]}, dtype=object),
            "row 1, column 'v' holds a whole number (1), but a text in row 0",
        ),
        (pd.DataFrame({"v": ["x", "\ud800"]}, dtype=object), "row 1, column 'v' holds half a character"),
        (FRAME["n"], "a Series is no rows"),
        (np.zeros((2, 2)), "a ndarray is no rows"),
        (pa.array([1]), "a Int64Array is no rows"),
        (pa.table([[1], [2]], names=["a", "a"]), "column 'a' is there more than once"),
        (datasets.DatasetDict({"train": Dataset.from_dict({"a": [1]})}), "holds several sets of rows (train)"),
    ],
)
def test_what_can_not_be_kept_is_named(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        files.write(given, tmp_path)
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_data_set_is_written_as_iterating_over_it_gives(tmp_path: Path) -> None:
    plain = Dataset.from_dict({"t": [1, 2, 3]})
    tenfold = plain.with_transform(lambda batch: {"t": [t * 10 for t in batch["t"]], "size": [len(batch["t"])]})
    forms = {
        "transform": tenfold,
        "indices": plain.select([2, 0]),
        "view": plain.with_format("numpy"),
        "stream": plain.to_iterable_dataset(),
        "generated": IterableDataset.from_generator(lambda: ({"t": t} for t in (1, 2.5))),
        "mapped stream": plain.to_iterable_dataset().map(lambda row: {"u": {str(row["t"]): 1}}),
    }
    for name, given in forms.items():
        expected = list(map(dict, given))
        assert read_back(given, tmp_path / name).to_list() == expected, name


def test_names_of_classes_images_and_translations_stay(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "labels": datasets.List(datasets.ClassLabel(names=["a", "b"])),
            "image": datasets.Image(decode=False),
            "pair": datasets.Translation(["de", "en"]),
            "grid": datasets.Array2D((1, 2), "int32"),
            "text": datasets.Value("string"),
        }
    )
    (tmp_path / "dot.png").write_bytes(b"a picture")
    given = Dataset.from_dict(
        {
            "label": [1, 0],
            "labels": [[0, 1], []],
            "image": [{"bytes": b"png", "path": None}, {"bytes": None, "path": str(tmp_path / "dot.png")}],
            "pair": [{"de": "ja", "en": "yes"}] * 2,
            "grid": [[[1, 2]], [[3, 4]]],
            "text": ["x", "y"],
        },
        features=features,
    )
    read = read_back(given, tmp_path / "a")
    assert read.features == features
    (tmp_path / "dot.png").unlink()
    assert [image["bytes"] for image in read["image"]] == [b"png", b"a picture"]
    assert read["grid"][:] == [[[1, 2]], [[3, 4]]]
    again = read_back(read.select([1]), tmp_path / "b")
    assert again.features == features
    assert again[0]["label"] == 0
    streamed = read_back(given.select_columns(["label", "text"]).to_iterable_dataset(), tmp_path / "c")
    assert streamed.features == datasets.Features({name: features[name] for name in ("label", "text")})


def test_any_stream_of_arrow(tmp_path: Path) -> None:
    class Lazy:
        """As polars' and DuckDB's results are."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"a": pa.array(["x"], pa.string_view())}).__arrow_c_stream__(requested_schema)

    assert read_back(Lazy(), tmp_path / "a").to_list() == [{"a": "x"}]
    assert read_back(pa.RecordBatch.from_pydict({"a": [1]}), tmp_path / "b").to_list() == [{"a": 1}]


def types() -> Iterator[pa.Array]:
    """Yield a column of each type, with a missing value."""
    text, day, noon = pa.array(["a", None]), datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, 12)
    yield from (pa.nulls(2), pa.array([True, None]), text, text.cast(pa.large_string()), text.cast(pa.string_view()))
    yield from (pa.array([1, None], kind) for kind in (pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64()))
    yield from (pa.array([0.5, None], kind) for kind in (pa.float16(), pa.float32(), pa.float64()))
    yield from (pa.array([day, None], kind) for kind in (pa.date32(), pa.date64()))
    for unit in ("s", "ms", "us", "ns"):
        yield from (pa.array([noon, None], pa.timestamp(unit, zone)) for zone in (None, "UTC", "Europe/Berlin"))
        yield pa.array([datetime.timedelta(1), None], pa.duration(unit))
    yield from (pa.array([datetime.time(1), None], kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("ns")))
    for kind in (pa.decimal32(5, 2), pa.decimal64(5, 2), pa.decimal128(5, 2), pa.decimal256(50, 2)):
        yield pa.array([1, None], kind)
    yield pa.array([100, None], pa.decimal128(5, -2))
    yield from (pa.array([b"ab", None], kind) for kind in (pa.binary(), pa.large_binary(), pa.binary(2)))
    yield from (pa.array([b"ab", None]).cast(pa.binary_view()), text.dictionary_encode())
    yield pa.RunEndEncodedArray.from_arrays([1, 2], ["a", None])
    for kind in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view):
        yield pa.array([[1, None], None], kind(pa.int64()))
    yield from (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), pa.array([{"a": 1}, None]), pa.array([{}, None]))
    yield pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8()))


def unknown() -> Iterator[pa.Array]:
    """Yield a column of each type that rows can't hold."""
    yield pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
    yield pa.array([pa.MonthDayNano([1, 2, 3]), None])
    yield pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), None], pa.binary(16)))
    yield pa.ExtensionArray.from_storage(pa.opaque(pa.int64(), "a", "b"), pa.array([1, None]))
    yield pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])


def nested(array: pa.Array) -> Iterator[pa.Table]:
    """Yield a column as it is, in a list, in an object, and in a list of objects."""
    flat = array
    listed = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), array)
    inside = pa.StructArray.from_arrays([array], ["x"])
    yield from (pa.table({"v": flat}), pa.table({"v": listed}), pa.table({"v": inside}))
    yield pa.table({"v": pa.ListArray.from_arrays(pa.array([0, 2, 2], pa.int32()), inside)})
    yield pa.table({"v": pa.chunked_array([array.slice(1), array.slice(0, 1)])})


@pytest.mark.parametrize("array", types(), ids=lambda array: str(array.type))
def test_what_can_be_written_can_be_read(array: pa.Array, tmp_path: Path) -> None:
    for number, table in enumerate(nested(array)):
        read = read_back(table, tmp_path / str(number))
        expected = table["v"].to_pylist()
        assert (read[:]["v"], list(read["v"])) == (expected, expected)
        assert read_back(read, tmp_path / f"{number} again")[:]["v"] == expected
        assert len(read.to_pandas()) == len(expected)


@pytest.mark.parametrize("array", unknown(), ids=lambda array: str(array.type))
def test_what_could_not_be_read_is_refused_by_name(array: pa.Array, tmp_path: Path) -> None:
    for number, table in enumerate(nested(array)):
        with pytest.raises(BadInput, match=r"^column 'v' holds .* which rows can't hold: [\w ]+"):
            files.write(table, tmp_path / str(number))
        assert not list((tmp_path / str(number)).iterdir())
