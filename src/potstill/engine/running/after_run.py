"""What follows when a step has run and its artifact is in the store; nothing of it belongs to the result.

A run may be killed between a step's end and this, so the store's journal remembers where each result has gone. It is
noted before a step starts that its result is to be sent: a result from before that was sent already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from potstill.engine.graph import Graph
from potstill.engine.records import Record
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Artifact, Store

NAMESPACE = "sent results"
"""Where the journal keeps the places that have a result, by its key."""


@runtime_checkable
class SendsResults(Protocol):
    """A step whose result also goes elsewhere."""

    def send_results(self, artifact: Artifact, before: Sequence[Step], sent: set[str]) -> Iterable[str]:
        """Send what it made; yield warnings.

        Args:
            artifact: its artifact, which is in the store.
            before: all steps that it was made from.
            sent: names of the places that have it, which get nothing; those that take it are added.
        """


def note_unsent(step: Step, key: str, store: Store) -> None:
    """Note that the result of a step that is about to run is nowhere yet."""
    if isinstance(step, SendsResults):
        store.journal.scoped(NAMESPACE).put(key, [])


def send_results(graph: Graph, records: Mapping[int, Record], store: Store, warn: Callable[[str], None]) -> None:
    """Let steps send their results to each place once: those that ran, and hits that an earlier run could not send."""
    places = store.journal.scoped(NAMESPACE)
    for step in graph.steps:
        record = records.get(id(step))
        if record is None or record.artifact is None or not isinstance(step, SendsResults):
            continue
        noted = places.get(record.key)
        if noted is None and record.status != "ran":
            continue
        sent = set(noted or ())
        for warning in step.send_results(record.artifact, graph.ancestors([step])[:-1], sent):
            warn(warning)
        if sent != set(noted or ()):
            places.put(record.key, sorted(sent))
