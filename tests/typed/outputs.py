"""What type checkers know of steps and their outputs; mypy checks it with the package, nothing runs it.

`warn_unused_ignores` holds each `type: ignore`: where mypy no longer refuses such a line, it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_type

from potstill import Model, Output, Pipeline, Rows, RowsOutput, Step
from potstill.steps import LoadRows, Split, Take
from potstill.trainers import HardLabel


class Halves(Step):
    """Parts rows in the middle."""

    rows: Rows
    at: float = 0.5
    first = RowsOutput()
    second = RowsOutput()
    makes = "rows"

    def run(self, rows: Any) -> dict[str, Iterable[Mapping[str, object]]]:
        """Return both parts."""
        middle = int(len(rows) * self.at)
        return {"first": rows.take(middle), "second": rows.skip(middle)}


class Thirds(Halves):
    """Parts rows in three."""

    third = RowsOutput()


class Trains(Step):
    """Gets a model and rows of any kind."""

    rows: Rows
    model: Model


rows = LoadRows([{"text": "a"}, {"text": "b"}])
data = Split(rows, test=0.25, validation=0.25)
halves, thirds = Halves(rows, at=0.25), Thirds(rows)

# an output is known by its name, also to a class below
assert_type(data.train, Output)
assert_type(data.validation, Output)
assert_type(data.test, Output)
assert_type(halves.second, Output)
assert_type((thirds.first, thirds.third), tuple[Output, Output])
assert_type(data.train.step, Step)
assert_type(Split.train, RowsOutput)

# another name is refused, of steps with outputs and of all others, and of an output
data.tran  # type: ignore[attr-defined]
halves.third  # type: ignore[attr-defined]
rows.train  # type: ignore[attr-defined]
Split.tran  # type: ignore[attr-defined]
data.train.rows  # type: ignore[attr-defined]
data.dataset()  # type: ignore[attr-defined]

# a parameter has its type; its name and the type of what it is given are checked
assert_type(data.test_share, float)
assert_type(halves.at, float)
data.test_shar  # type: ignore[attr-defined]
Halves(rows, att=0.25)  # type: ignore[call-arg]
Halves(rows, first=0.25)  # type: ignore[call-arg]
Split(rows, test="a quarter")  # type: ignore[arg-type]
Take("rows", 2)  # type: ignore[arg-type]

# an output goes wherever a step does
Pipeline("typed", outputs={"first": halves.first, "student": Trains(data.train, "a model")})
Pipeline("typed", outputs={"student": HardLabel(data.train, student="a model"), "rows": Take(thirds.third, 2)})
Pipeline("typed", outputs={"first": Halves.first})  # type: ignore[dict-item]
