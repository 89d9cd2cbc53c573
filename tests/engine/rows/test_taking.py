"""Rows chosen by number are those that Arrow's own way gives, from columns of any type and in any pieces."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset, concatenate_datasets

from potstill.engine.rows import files
from potstill.engine.rows.casting import values
from potstill.engine.rows.sizes import row_bytes
from potstill.engine.rows.taking import take


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_as_arrow_takes(pieces: int) -> None:
    draw = random.Random(pieces)
    cells = [None if draw.random() < 0.2 else "x" * draw.randint(0, 5) for _ in range(70)]
    size = len(cells) // pieces
    column = pa.chunked_array([pa.array(cells[start : start + size]) for start in range(0, len(cells), size)])
    for count in (0, 1, 30):
        numbers = [draw.choice([None, draw.randrange(len(cells))]) for _ in range(count)]
        for kind in (pa.int64(), pa.uint64()):
            assert take(column, pa.array(numbers, kind)).to_pylist() == column.take(pa.array(numbers, kind)).to_pylist()
    some = sorted(draw.sample(range(len(cells)), 20))
    assert take(column, pa.array(some)).to_pylist() == [cells[number] for number in some]


def test_objects_with_keys_of_their_own(tmp_path: Path) -> None:
    given = [{"v": [{"a": number}, {str(number): {}}]} for number in range(5)]
    files.write(given, tmp_path)
    column = files.read(tmp_path, tmp_path).data["v"]
    both = pa.chunked_array([*column.chunks, *column.chunks])
    assert values(take(both, pa.array([7, None, 0]))) == [given[2]["v"], None, given[0]["v"]]


def test_a_chosen_part_of_a_data_set_in_pieces_is_written_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 6)
    monkeypatch.setattr(files, "GROUP_BYTES", 100)
    whole = concatenate_datasets(
        [Dataset.from_dict({"n": list(range(10 * k, 10 * k + 10)), "t": ["x" * k] * 10}) for k in range(4)]
    )
    for name, numbers in {"some": [1, 5, 33], "shuffled": random.Random(0).sample(range(40), 40), "none": []}.items():
        chosen = whole.select(numbers)
        assert files.write(chosen, tmp_path / name) == len(numbers)
        assert files.read(tmp_path / name, tmp_path).to_list() == chosen.to_list()
        assert [row for table in files.tables(chosen) for row in table.to_pylist()] == chosen.to_list()


def test_bytes_of_rows_do_not_depend_on_how_they_lie() -> None:
    inside = [{"a": 1, "b": "x"}] * 3
    table = pa.table({"t": ["ab", None, ""], "l": [["x", "yz"], [], None], "s": inside, "n": [1, 2, 3]})
    other = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    longer = pa.concat_tables([table, table]).slice(3)
    assert row_bytes(table).tolist() == row_bytes(other).tolist() == row_bytes(longer).tolist() == [22, 17, 17]
