"""A test set that stays the same when rows are added."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.errors import BadInput, Problem
from potstill.keys import digest
from potstill.step import Estimate, Rows, Step

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context


class Split(Step):
    """Parts rows into `train` and `test` by a hash of each row, so that adding rows moves none that were there.

    The share is given as `test=0.1`; it is kept as `test_share`, because `.test` is the output.
    """

    rows: Rows
    """Rows to part."""
    _: KW_ONLY
    test_share: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Share that goes to `test`; by chance a little more or less."""
    by: str = ""
    """Column that is hashed: rows equal there stay together; empty takes `id`, or the whole row without one."""
    seed: int = 0
    """Another seed gives another split."""

    makes: ClassVar[str] = "rows"
    outputs: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(  # a dataclass leaves an `__init__` that is there alone
        self, rows: Rows, *, test: float = 0.1, by: str = "", seed: int = 0, name: str | None = None
    ) -> None:
        """Part `rows`, a share `test` of them into the test set; see the fields."""
        for field, value in {"rows": rows, "test_share": test, "by": by, "seed": seed, "name": name}.items():
            object.__setattr__(self, field, value)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is hashed."""
        return {"rows": (self.by,) if self.by else ()}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of both parts."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> dict[str, Dataset]:
        """Return both parts.

        Raises:
            BadInput: one of them would be empty.
        """
        places: dict[str, list[int]] = {"train": [], "test": []}
        for number, value in enumerate(self._hashed(rows)):
            places["test" if share(value, self.seed) < self.test_share else "train"].append(number)
        empty = [name for name, numbers in places.items() if not numbers]
        if empty:
            left = f"test={self.test_share:g} of {len(rows)} rows leaves {' and '.join(empty)} empty"
            raise BadInput(Problem("", "test", f"{left}: give more rows, or another share or seed"))
        context.ledger.keep(len(rows))
        return {name: rows.select(numbers) for name, numbers in places.items()}

    def _hashed(self, rows: Dataset) -> Iterable[Any]:
        """Return what is hashed of each row."""
        column = self.by or ("id" if "id" in rows.column_names else "")
        return (row[column] for row in rows.select_columns([column])) if column else (digest(row) for row in rows)


def share(value: Any, seed: int) -> float:
    """Return a number in [0, 1) that depends on `value` and `seed` alone."""
    mark = hashlib.blake2b(f"{seed}\0{value}".encode(), digest_size=7).digest()
    return int.from_bytes(mark, "big") / 2**56
