"""What a step that asks for its lineage gets, and what its key covers of it: all ancestors, not its inputs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from potstill.engine.context import Ancestor
from potstill.engine.graph import Graph
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Artifact


def ancestors(graph: Graph, step: Step, artifact: Callable[[Step], Artifact]) -> Iterator[Ancestor]:
    """Yield the ancestors of a step with their manifests, if it wants them; `artifact` returns what a step has made."""
    for ancestor in _behind(graph, step):
        source = artifact(ancestor)
        parents = tuple(graph.name(parent) for parent in graph.parents(ancestor))
        yield Ancestor(graph.name(ancestor), type(ancestor).__name__, source.key, parents, source.manifest, source.path)


def digests(graph: Graph, step: Step, artifact: Callable[[Step], Artifact]) -> list[list[str]] | None:
    """Return name, key and content digest of each ancestor of a step that wants its lineage, or None of another."""
    if not type(step).wants_lineage:
        return None
    return [
        [graph.name(ancestor), artifact(ancestor).key, artifact(ancestor).digest()] for ancestor in _behind(graph, step)
    ]


def _behind(graph: Graph, step: Step) -> tuple[Step, ...]:
    """Return the ancestors of a step in topological order; none of one that does not want them."""
    return graph.ancestors([step])[:-1] if type(step).wants_lineage else ()
