"""Small steps that say in the log that they ran, and what is read of a run."""

from __future__ import annotations

import logging
from typing import Any

from potstill import Rows, Step
from potstill.engine.records import Run

LOG = logging.getLogger("what ran")


class Make(Step):
    n: int = 3

    def run(self) -> Any:
        LOG.warning("make")
        return ({"n": number} for number in range(self.n))


class Add(Step):
    rows: Rows
    by: int = 1

    def run(self, rows: Any) -> Any:
        LOG.warning("add %s", self.by)
        return rows.map(lambda row: {"n": row["n"] + self.by})


class Fails(Step):
    rows: Rows
    how: Any = ValueError

    def run(self, rows: Any) -> Any:
        raise self.how("no")


def statuses(run: Run) -> list[str]:
    return [record.status for record in run.records]
