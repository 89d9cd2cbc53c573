"""What a run writes into its history: the plan, and by a watcher all that happens, whether it is shown or not."""

from __future__ import annotations

from collections.abc import Iterable

from potstill.engine.context import Progress
from potstill.engine.graph import Graph
from potstill.engine.records import Record, Watcher
from potstill.engine.step import Step
from potstill.engine.store.run_history import History, PlannedStep


def planned(graph: Graph, steps: Iterable[Step]) -> list[PlannedStep]:
    """Return `steps` of a graph as its history names them."""
    return [
        PlannedStep(graph.name(step), type(step).__name__, tuple(graph.name(parent) for parent in graph.parents(step)))
        for step in steps
    ]


class Recording:
    """Passes everything on to another watcher, and notes it in the run's history."""

    def __init__(self, shown: Watcher, history: History) -> None:
        """Pass on to `shown`."""
        self._shown = shown
        self._history = history

    def planned(self, steps: list[str]) -> None:
        """Pass on the steps, which the run itself notes with their inputs."""
        self._shown.planned(steps)

    def started(self, step: str) -> Progress:
        """Return what passes progress on and notes it now and then."""
        shown, recorded = self._shown.started(step), self._history.progressing(step)

        def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
            shown(done, total, tokens=tokens, note=note)
            recorded({"done": done, "total": total, "tokens": tokens, "note": note})

        return report

    def finished(self, record: Record) -> None:
        """Note how the step ended."""
        rows = record.artifact.rows if record.artifact else None
        self._history.finished(
            record.name, record.status, key=record.key, seconds=record.seconds, rows=rows, error=record.error or None
        )
        self._shown.finished(record)

    def said(self, message: str) -> None:
        """Note a warning."""
        self._history.warned(message)
        self._shown.said(message)

    def close(self) -> None:
        """Note that nothing more is shown."""
        self._shown.close()
