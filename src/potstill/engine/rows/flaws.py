"""What is wrong with values that are to be kept as rows, each with its row and its place in the column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

MOST_FLAWS = 20
"""Flaws of a column, and of rows, that are shown; more are only counted."""


@dataclass(frozen=True)
class Flaw:
    """One value that can't be kept."""

    row: int
    """Number of the row, counted from the first row that was looked at."""
    what: str
    """What is wrong with the value."""
    remedy: str
    """What to do."""
    path: str = ""
    """Where it is: the column, and what follows in the cell, such as `messages[].content`."""
    other: str = ""
    """What another row has, where the two don't go together."""
    other_row: int = 0
    """Number of that row."""

    def __str__(self) -> str:
        """Render the flaw as a message."""
        contrast = f", but {self.other} in row {self.other_row}" if self.other else ""
        return f"row {self.row}, column {self.path!r} {self.what}{contrast}: {self.remedy}"


class Flawed(Exception):
    """Some values can't be kept."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        """Keep the first `flaws`."""
        self.flaws: Sequence[Flaw] = tuple(flaws)[:MOST_FLAWS]
        super().__init__("\n".join(map(str, self.flaws)))

    def inside(self, path: str, row_of: Callable[[int], int] = lambda row: row) -> Flawed:
        """Return the same flaws as those of the cells around: at `path` in them, in rows that `row_of` knows."""
        return Flawed(
            replace(flaw, row=row_of(flaw.row), other_row=row_of(flaw.other_row), path=path + flaw.path)
            for flaw in self.flaws
        )


@dataclass
class FlawLog:
    """What is wrong with all rows of a step, gathered so that it is said at once."""

    shown: list[str] = field(default_factory=list)
    """The first messages."""
    count: int = 0
    """How many there are."""

    def add(self, *messages: str) -> None:
        """Take in some messages."""
        self.count += len(messages)
        self.shown += messages[: max(0, MOST_FLAWS - len(self.shown))]

    def add_flaws(self, error: Flawed, first_row: int) -> None:
        """Take in the flaws of rows, of which the first has number `first_row`."""
        self.add(*map(str, error.inside("", lambda row: row + first_row).flaws))

    def messages(self) -> list[str]:
        """Return the messages, the last of which may say how many more there are."""
        more = self.count - len(self.shown)
        return [*self.shown, *([f"{more} more problems like these"] if more else [])]
