"""What follows when a step has run and its artifact is in the store; nothing of it belongs to the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from potstill.engine.graph import Graph
from potstill.engine.records import Record
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Artifact


@runtime_checkable
class SendsResults(Protocol):
    """A step whose result also goes elsewhere."""

    def send_results(self, artifact: Artifact, before: Sequence[Step]) -> Iterable[str]:
        """Send what it made; yield warnings.

        Args:
            artifact: its artifact, which is in the store.
            before: all steps that it was made from.
        """


def send_results(graph: Graph, records: Mapping[int, Record], warn: Callable[[str], None]) -> None:
    """Let the steps that ran send their results: none that was a hit, so that nothing is sent twice."""
    for step in graph.steps:
        record = records.get(id(step))
        if record is None or record.status != "ran" or record.artifact is None or not isinstance(step, SendsResults):
            continue
        for warning in step.send_results(record.artifact, graph.ancestors([step])[:-1]):
            warn(warning)
