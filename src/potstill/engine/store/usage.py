"""The results that one run uses: pinned before they are looked up, and recorded for `plan` and `gc`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from potstill.engine.store.artifacts import Artifact, Lookup, Store
from potstill.engine.store.disk import writing
from potstill.engine.store.pins import Pin
from potstill.engine.store.run_records import Entry, Origin
from potstill.errors import RequestError, StoreError


class Usage:
    """The results of a store that one run uses."""

    def __init__(self, store: Store, origin: Origin, warn: Callable[[str], None]) -> None:
        """Use `store` for a run from `origin`; `warn` gets each warning once."""
        self._store = store
        self._origin = origin
        self._warn = warn
        self._warned: set[str] = set()
        self._pin = Pin(store.root, origin)
        self._known: dict[str, Entry] | None = None
        self._entries: dict[str, Entry] = {}
        self._changed = False

    def find(self, name: str, key: str) -> Artifact | None:
        """Return the artifact of the step `name` if it is whole and has no rows to retry; it is pinned first."""
        # before it is looked up: an artifact that is found first could be deleted before it is pinned
        self._tolerating(lambda: self._pin.add(key))
        lookup = self._store.lookup(key)
        if lookup.strays:
            lookup = self._without_strays(name, key, lookup)
        for blemish in lookup.blemishes:
            self.warn_once(f"{name}: {key}/{blemish}; it is not part of the result, which is used")
        if lookup.damage:
            self.warn_once(f"{name}: the artifact {key} is corrupt ({lookup.damage}); the step runs again")
        # rows that failed for now are no result to keep: the step runs again, and asks for those alone
        if lookup.artifact is None or lookup.artifact.manifest["counts"]["retryable"]:
            return None
        return lookup.artifact

    def _without_strays(self, name: str, key: str, lookup: Lookup) -> Lookup:
        """Take what others put into an artifact out of it; where that can't be done, it is damaged."""
        try:
            place = self._store.set_aside(key, lookup.strays)
        except StoreError:
            return lookup
        self.warn_once(f"{name}: {key}: {lookup.damage}; moved to {place}")
        return self._store.lookup(key)

    def hit(self, name: str, key: str, identity: Mapping[str, Any]) -> None:
        """Record that a step is cached, unless that was recorded last."""
        self._entries[name] = entry = Entry(self._origin, name, key, identity)
        if self._known is None:
            self._known = self._store.runs.last(self._origin.pipeline, self._origin.file)
        last = self._known.get(name)
        if last is None or last.key != key or not last.origin.file:
            self._tolerating(lambda: self._store.runs.add(entry))
            self._changed = True

    def start(self, name: str, kind: str, key: str, identity: Mapping[str, Any]) -> None:
        """Pin and record a step, of the class `kind`, that is about to run.

        Raises:
            StoreError: the store can't be written.
        """
        self._entries[name] = entry = Entry(self._origin, name, key, identity)
        self._changed = True
        with writing(self._store.root):
            self._pin.add(key)
            self._store.runs.add(entry)
            self._pin.start(key, name, kind)

    def close(self, *, complete: bool, steps: Iterable[str]) -> None:
        """End the run; a complete one supersedes all earlier ones of its file. `steps` are all of the pipeline's."""
        if complete and self._changed:
            self._tolerating(lambda: self._store.runs.finish(self._origin, self._entries.values(), steps))
        self._pin.close(complete=complete)

    def warn_once(self, message: str) -> None:
        """Give a warning that many steps or tries may come upon."""
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)

    def _tolerating(self, write: Callable[[], None]) -> None:
        """Write down what the run uses; a store that is full or read-only is no reason to fail what is cached."""
        try:
            with writing(self._store.root):
                write()
        except RequestError as error:
            self.warn_once(f"this run can't be recorded: {error}")
