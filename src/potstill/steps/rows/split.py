"""Split rows into train, validation and test by hash, so that adding rows moves none."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.engine.encoding import digest
from potstill.engine.step import Estimate, Rows, RowsOutput, Step
from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class Split(Step):
    """Parts rows into `train`, `validation` and `test` by a hash of each row, so that adding rows moves none.

    The shares are given as `test=0.1` and `validation=0.1`, also to `--set`; they are kept as `test_share` and
    `validation_share`, because `.test` is the output. With `stratified`, each value of a column has the same share of
    the parts, to the row; then adding rows may move some.

    >>> rows = LoadRows([{"id": f"r{number}", "label": number % 2} for number in range(8)])
    >>> data = Split(rows, test=0.25, stratified="label")
    >>> show(data.test)
    {'id': 'r0', 'label': 0}
    {'id': 'r1', 'label': 1}
    """

    rows: Rows
    """Rows to part."""
    _: KW_ONLY
    test_share: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Share that goes to `test`; by chance a little more or less."""
    validation_share: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share that goes to `validation`; the test set is the same with and without one."""
    by: str = ""
    """Column that is hashed: rows equal there stay together; empty takes `id`, or the whole row without one."""
    stratified: str = ""
    """Column whose values are to have equal shares, such as the label; not together with `by`."""
    seed: int = 0
    """Another seed gives another split."""

    makes: ClassVar[str] = "rows"
    train = RowsOutput()
    """Rows to learn from: all that no other part has."""
    validation = RowsOutput(
        only_with="validation_share",
        otherwise="Split makes no validation set without a share for it: Split(..., validation=0.1)",
    )
    """Rows to choose between models by."""
    test = RowsOutput()
    """Rows to measure by."""
    spelled: ClassVar[Mapping[str, str]] = {"test": "test_share", "validation": "validation_share"}

    def __init__(  # a dataclass leaves an `__init__` that is there alone
        self,
        rows: Rows,
        *,
        test: float = 0.1,
        validation: float = 0.0,
        by: str = "",
        stratified: str = "",
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        """Part `rows`, shares of them into the test and validation sets; see the fields."""
        fields = {
            "rows": rows,
            "test_share": test,
            "validation_share": validation,
            "by": by,
            "stratified": stratified,
            "seed": seed,
            "name": name,
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if self.test_share + self.validation_share >= 1:
            both = f"test={self.test_share:g} and validation={self.validation_share:g}"
            yield Problem("", "validation", f"{both} leave nothing to train on: together they must be < 1")
        if self.by and self.stratified:
            yield Problem("", "stratified", "can't go with by: groups that stay together have no equal shares")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are hashed and balanced."""
        return {"rows": [name for name in (self.by, self.stratified) if name]}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of all parts."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> dict[str, Dataset]:
        """Return the parts.

        Raises:
            BadInput: one of them would be empty.
        """
        marks = [share(value, self.seed) for value in self._hashed(rows)]
        places: dict[str, list[int]] = {name: [] for name in self.outputs}
        for number, part in enumerate(self._parts(rows, marks)):
            places[part].append(number)
        wanted = {"train": 1.0, "validation": self.validation_share, "test": self.test_share}
        empty = [name for name, numbers in places.items() if wanted[name] and not numbers]
        if empty:
            shares = f"test={self.test_share:g}" + f", validation={self.validation_share:g}" * bool(
                wanted["validation"]
            )
            left = f"{shares} of {len(rows)} rows leaves {' and '.join(empty)} empty"
            raise BadInput(Problem("", "test", f"{left}: give more rows, or another share or seed"))
        context.ledger.keep(len(rows))
        return {name: rows.select(numbers) for name, numbers in places.items()}

    def _hashed(self, rows: Dataset) -> Iterable[Any]:
        """Return what is hashed of each row."""
        column = self.by or ("id" if "id" in rows.column_names else "")
        return (row[column] for row in rows.select_columns([column])) if column else (digest(row) for row in rows)

    def _parts(self, rows: Dataset, marks: list[float]) -> Iterable[str]:
        """Return the part that each row goes to."""
        shares = {"test": self.test_share, "validation": self.validation_share}
        if not self.stratified:
            borders = (self.test_share, self.test_share + self.validation_share)
            return ("test" if mark < borders[0] else "validation" if mark < borders[1] else "train" for mark in marks)
        strata: dict[str, list[int]] = {}
        for number, value in enumerate(rows[self.stratified]):
            strata.setdefault(repr(value), []).append(number)
        parts = ["train"] * len(marks)
        for number, part in stratify(strata, marks, shares):
            parts[number] = part
        return parts


def stratify(
    strata: Mapping[str, list[int]], marks: list[float], shares: Mapping[str, float]
) -> Iterator[tuple[int, str]]:
    """Yield (row, part) so that each part has its share of every stratum, rounded so that the sum is right as well.

    Within a stratum, the rows with the smallest marks go first.
    """
    wished = dict.fromkeys(shares, 0.0)
    counts = dict.fromkeys(shares, 0)
    for name in sorted(strata):
        waiting = sorted(strata[name], key=lambda number: (marks[number], number))
        for part, portion in shares.items():
            # running totals: rounding each stratum by itself would let the errors of many small strata add up
            wished[part] += portion * len(strata[name])
            count = min(math.floor(wished[part] + 0.5) - counts[part], len(waiting))
            counts[part] += count
            yield from ((number, part) for number in waiting[:count])
            waiting = waiting[count:]


def share(value: object, seed: int) -> float:
    """Return a number in [0, 1) that depends on `value` and `seed` alone."""
    mark = hashlib.blake2b(f"{seed}\0{value}".encode(), digest_size=7).digest()
    return int.from_bytes(mark, "big") / 2**56
