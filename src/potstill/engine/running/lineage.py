"""What a step that asks for its lineage gets, and what its key covers of it: all ancestors, not its inputs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from potstill.engine.context import Ancestor
from potstill.engine.graph import Graph
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Artifact


def ancestors(graph: Graph, step: Step, made: Callable[[Step], Artifact | None]) -> Iterator[Ancestor]:
    """Yield the ancestors of a step with their manifests, if it wants them, but for those that have `made` nothing."""
    for ancestor in _behind(graph, step):
        source = made(ancestor)
        if source is None:
            continue
        parents = tuple(graph.name(parent) for parent in graph.parents(ancestor))
        yield Ancestor(graph.name(ancestor), type(ancestor).__name__, source.key, parents, source.manifest, source.path)


def digests(graph: Graph, step: Step, made: Callable[[Step], Artifact | None]) -> list[list[str]] | None:
    """Return name, key and content digest of each ancestor of a step that wants its lineage, or None of another.

    Those that have `made` nothing are left out.
    """
    if not type(step).wants_lineage:
        return None
    sources = [(ancestor, made(ancestor)) for ancestor in _behind(graph, step)]
    return [[graph.name(ancestor), source.key, source.digest()] for ancestor, source in sources if source is not None]


def _behind(graph: Graph, step: Step) -> tuple[Step, ...]:
    """Return the ancestors of a step in topological order; none of one that does not want them."""
    return graph.ancestors([step])[:-1] if type(step).wants_lineage else ()
