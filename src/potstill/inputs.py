"""What a step reads, held against what its key saw: an input that was removed, damaged or replaced fails the step.

A key covers the content of the inputs by the digests that the store gave when the step was looked up. Files can go, and
other content can take their place, at any time after that. So all inputs are compared with their manifests, file by
file, when the step starts and again before its result is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from potstill.errors import PotstillError
from potstill.manifests import signature
from potstill.store import Artifact, Store


@dataclass(frozen=True)
class Source:
    """An artifact that a step reads, as its key saw it."""

    name: str
    """Name of the step that made it."""
    key: str
    """Its key."""
    digest: str
    """Digest of its whole content."""


class InputsChanged(PotstillError):
    """Inputs are not what the step's key covers: the result would stand for what it was not made from."""

    def __init__(self, problems: Mapping[str, str], names: Mapping[str, str]) -> None:
        """Keep what is wrong by the input's key; `names` are those of the steps that made them."""
        self.keys = tuple(problems)
        described = "; ".join(f"the result of {names[key]} ({key}) {text}" for key, text in problems.items())
        super().__init__(
            f"{described} since the run looked it up; it must stay as it is until the step has ended. Run again: what "
            "is missing is made again"
        )


class Inputs:
    """The inputs of one running step."""

    def __init__(self, store: Store, sources: Iterable[Source]) -> None:
        """Watch `sources` in `store`."""
        self._store = store
        self._sources = {source.key: source for source in sources}
        self._seen: dict[str, frozenset[Any]] = {}

    def check(self) -> None:
        """Compare all inputs with what the key saw; after the first time, read only files that were touched.

        Raises:
            InputsChanged: an input is not there, damaged, or another one.
        """
        problems = self.problems()
        if problems:
            raise InputsChanged(problems, {source.key: source.name for source in self._sources.values()})

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each input that is not what the key saw, by key."""
        found = {key: self._problem(source) for key, source in self._sources.items()}
        return {key: problem for key, problem in found.items() if problem}

    def _problem(self, source: Source) -> str:
        """Return what is wrong with one input, or nothing."""
        path = self._store.root / "artifacts" / source.key
        try:
            now = signature(path)
        except OSError:
            return "was removed"
        if self._seen.get(source.key) == now:
            return ""
        found = self._store.lookup(source.key)
        if found.artifact is None:
            return f"was damaged ({found.damage})" if found.damage else "was removed"
        if found.artifact.digest() != source.digest:
            return "was replaced by other content"
        self._seen[source.key] = now
        return ""


def source_of(name: str, artifact: Artifact) -> Source:
    """Return the source that stands for an `artifact` that the step `name` made."""
    return Source(name, artifact.key, artifact.digest())
