"""All that an artifact was made from, by the manifests in a store."""

from __future__ import annotations

from potstill.engine.context import Ancestor
from potstill.engine.store.artifacts import Artifact, Store


def lineage_of(store: Store, artifact: Artifact) -> tuple[list[Ancestor], list[str]]:
    """Return an artifact behind all its ancestors, and the keys of those that are not in the store any more."""
    order: dict[str, Ancestor] = {}
    gone: list[str] = []
    waiting: list[tuple[str, Artifact | None, bool]] = [(artifact.key, artifact, False)]
    visited = {artifact.key}
    while waiting:
        key, one, is_ready = waiting.pop()
        if one is None:
            gone.append(key)
        elif is_ready:
            order[key] = _ancestor(one)
        else:
            waiting.append((key, one, True))
            parents = [str(parent) for parent in one.manifest["input_keys"]]
            waiting += [(parent, store.lookup(parent).artifact, False) for parent in parents if parent not in visited]
            visited |= set(parents)
    return list(order.values()), sorted(gone)


def _ancestor(artifact: Artifact) -> Ancestor:
    """Return an artifact as a step of a lineage."""
    manifest = artifact.manifest
    names = dict.fromkeys(str(name) for several in manifest["inputs"].values() for name in several)
    return Ancestor(manifest["name"], manifest["type"], artifact.key, tuple(names), manifest, artifact.path)
