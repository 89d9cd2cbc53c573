"""What a running step may use besides its inputs: folders, journal, ledger, progress, logger, seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from potstill.engine.encoding import digest
from potstill.engine.ledger import Ledger
from potstill.engine.rows.dicts import checked
from potstill.engine.store.journal import Journal, ScopedJournal
from potstill.errors import StoreError

NOT_MADE = "not made"
"""Names why there is no result of a step that failed, in what a step gets that may lack it."""


class Progress(Protocol):
    """Where a step reports its progress."""

    def __call__(self, done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
        """Report `done` of `total` rows (or training steps), the `tokens` so far, and a short `note`."""


def silent(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Ancestor:
    """One step that a running step was made from, as its manifest describes it."""

    name: str
    """Name in the pipeline."""
    type: str
    """Class name of the step."""
    key: str
    """Key of its artifact."""
    inputs: tuple[str, ...]
    """Names of the steps it was made from."""
    manifest: Mapping[str, Any]
    """Its manifest: parameters, counts, seconds, digests, usage."""
    folder: Path | None = None
    """Where its artifact lies."""


@dataclass
class Context:
    """What one running step may use besides its inputs."""

    step: str
    """Name of the step."""
    key: str
    """Key of the artifact that is being made."""
    work: Path
    """Scratch folder that survives a kill and is emptied when the artifact is published: checkpoints go here."""
    out: Path
    """Payload folder: a step that makes a folder writes into it and returns it."""
    journal: ScopedJournal
    """Finished rows of this very step, by row key; survives a kill."""
    store_journal: Journal
    """The whole store's journal, for work that several keys share (teacher responses)."""
    ledger: Ledger
    """What became of the rows that did not make it, with the reasons."""
    logger: logging.Logger
    """Writes to the step's log, which is kept in its artifact."""
    progress: Progress = silent
    """Reports how far the step is."""
    seed: int = 0
    """The step's `seed` field, or 0."""
    threads: int = 1
    """How many threads the step may use."""
    lineage: tuple[Ancestor, ...] = ()
    """All ancestors in topological order, for steps that say `wants_lineage`."""
    inputs: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of the steps behind each edge field."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Figures for the manifest (token usage, memory, warnings) that are not part of the result."""

    def each(
        self, rows: Iterable[Mapping[str, Any]], function: Callable[[dict[str, Any]], Mapping[str, Any] | None]
    ) -> Iterator[dict[str, Any]]:
        """Yield `function(row)` for each row; finished rows are journalled and a row that raises is lost alone.

        A `None` filters the row. A row that raises is marked retryable: the next run tries it again, and only it.
        """
        for number, row in enumerate(rows):
            plain = dict(row)
            row_key = digest(["row", plain])
            entry = self.journal.get(row_key)
            if entry is None:
                try:
                    output = function(plain)
                    entry = self.journal.kept(row_key, {"row": None if output is None else checked(output)})
                except StoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - one bad row must not take its siblings with it
                    self.ledger.lose(str(plain.get("id", number)), "retryable", f"{type(error).__name__}: {error}")
                    continue
            if entry["row"] is None:
                self.ledger.lose(str(plain.get("id", number)), "filtered", "dropped by the function")
                continue
            self.ledger.keep()
            yield entry["row"]
