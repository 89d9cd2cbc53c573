"""Tensors of torch in rows come back as the numbers that they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.engine.rows import files as rows
from potstill.errors import BadInput

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(3)], [0.5, 3.0]),
        ([torch.ones(2, dtype=torch.bfloat16), torch.ones(0)], [[1.0, 1.0], []]),
    ],
)
def test_tensors_are_kept_as_numbers(given: list[object], expected: list[object], tmp_path: Path) -> None:
    rows.write([{"v": value} for value in given], tmp_path / "rows")
    assert rows.read(tmp_path / "rows", tmp_path / "scratch")["v"][:] == expected


def test_a_sparse_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"row 1, column 'v' holds a Tensor that can't be read as an array"):
        rows.write([{"v": None}, {"v": torch.eye(2).to_sparse()}], tmp_path)
    assert not list(tmp_path.iterdir())
