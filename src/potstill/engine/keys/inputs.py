"""What a step reads, compared with what its key saw: an input that was removed, damaged or replaced fails the step.

A key covers the content of the inputs by the digests that the store gave when the step was looked up. Files can go, and
other content can take their place, at any time after that. So all inputs are compared with their manifests, file by
file, when the step starts and again before its result is published; and so are then the files that parameters name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from potstill.engine.keys.identity import encoded
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.manifests import signature
from potstill.errors import PotstillError, RequestError


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

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep what is wrong by the key of an input, or by the name of a parameter."""
        self.keys = tuple(problems)
        super().__init__(
            f"{'; '.join(problems.values())} since the run looked it up; it must stay as it is until the step has ended"
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
            raise InputsChanged(problems)

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each input that is not what the key saw, by key."""
        problems = {key: self._problem(source) for key, source in self._sources.items()}
        return {
            key: f"the result of {self._sources[key].name} ({key}) {problem}"
            for key, problem in problems.items()
            if problem
        }

    def _problem(self, source: Source) -> str:
        """Return what is wrong with one input, or nothing."""
        path = self._store.root / "artifacts" / source.key
        try:
            now = signature(path)
        except OSError:
            return "was removed"
        # the files' times and inodes are as at the last look, so their content is not hashed again
        if self._seen.get(source.key) == now:
            return ""
        # hashes every file: a manifest that is whole says nothing of the payload beside it
        lookup = self._store.lookup(source.key)
        if lookup.artifact is None:
            return f"was damaged ({lookup.damage})" if lookup.damage else "was removed"
        # whole, but recomputed by another run, as `gc` or a retry of rows may have it: the key saw other content
        if lookup.artifact.digest() != source.digest:
            return "was replaced by other content"
        self._seen[source.key] = now
        return ""


def source_of(name: str, artifact: Artifact) -> Source:
    """Return the source that stands for an `artifact` that the step `name` made."""
    return Source(name, artifact.key, artifact.digest())


def check_files(step: Step, identity: Mapping[str, Any]) -> None:
    """Compare the content of the files and model folders that a step's parameters name with what its key saw.

    Raises:
        InputsChanged: some are gone or have changed.
    """
    parameters: Mapping[str, Any] = identity["params"]
    problems: dict[str, str] = {}
    for name in parameters:
        value = getattr(step, name, None)
        # a user's own `identity()` may be slow, or give something else each time; only what Potstill digests is read
        # again
        own = not hasattr(value, "identity") or type(value).__module__.partition(".")[0] == "potstill"
        seen = _contents(parameters[name])
        # no content below this parameter: there is no file whose change could go unseen
        if seen and own:
            problem = _file_problem(type(step), name, value, seen)
            problems |= {name: f"what parameter {name} names {problem}"} if problem else {}
    if problems:
        raise InputsChanged(problems)


def _file_problem(cls: type[Step], name: str, value: object, seen: list[Any]) -> str:
    """Return what has become of the files that one parameter names, or nothing."""
    try:
        return "" if _contents(encoded(cls, name, value)) == seen else "has changed"
    except (RequestError, OSError) as error:
        return f"can't be read any more ({error})"


def _contents(part: object) -> list[Any]:
    """Return the digests of files in a part of an identity: what stands under the name `content`, at any depth."""
    if not isinstance(part, list):
        return []
    # how `encoding` writes the pair of a dict whose key is "content": `FileContent`, `File` and `model_identity` give
    # it
    if len(part) == 2 and part[0] == ["str", "content"]:
        return [part[1]]
    return [content for item in part for content in _contents(item)]
