"""The store: artifacts by key, each complete only through its manifest, published by one rename.

STORE/artifacts/KEY/   manifest.json, log.txt, and the payload (data/*.parquet, a model folder, metrics.json, ...)
STORE/strays/KEY/      files that somebody else put into an artifact, set aside
STORE/work/KEY/        an artifact being made: payload/ and scratch/ (checkpoints), kept after a kill
STORE/journal.sqlite   finished rows
STORE/locks/KEY        one writer at a time
STORE/services/        which model servers a run has started, while they run
STORE/runs/            what each pipeline file used when it last ran, for `plan` and `gc`
STORE/history/         how each run went, step by step, for `potstill ui` and `diff`
STORE/pins/            what each run uses that goes on or did not finish, for `gc`
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine import notebook
from potstill.engine.digests import file_digest
from potstill.engine.store.disk import flush, write_whole, writing
from potstill.engine.store.journal import Journal
from potstill.engine.store.manifests import (
    BESIDE_PAYLOAD,
    condition,
    content_digests,
    lined,
    read_manifest,
    sealed,
    without_links,
)
from potstill.engine.store.pins import all_pins
from potstill.engine.store.run_records import RunRecords
from potstill.errors import BadInput

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger("potstill")
SHOWN = 5
"""Rows that a notebook shows of an artifact."""
KEPT = "rows.parquet"
"""Where a step that measures keeps its rows, beside its figures."""
FIGURES = 20
"""Figures that it shows."""


@dataclass(frozen=True)
class Artifact:
    """A finished result in the store."""

    path: Path
    """Its folder."""
    manifest: Mapping[str, Any]
    """What is known about it: rows, counts, file digests, lineage, seconds, versions, host."""
    output: str = ""
    """Which of its outputs is meant, if it has several."""

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.manifest["key"])

    @property
    def rows(self) -> int | None:
        """How many rows it holds, or None if it holds none."""
        rows = self.manifest["output_rows"][self.output] if self.output else self.manifest["rows"]
        return None if rows is None else int(rows)

    @property
    def size(self) -> int:
        """How many bytes its files take."""
        return sum(int(file["size"]) for file in self.manifest["files"].values())

    @property
    def metrics(self) -> dict[str, Any]:
        """Its figures, if it holds metrics.

        Raises:
            BadInput: it holds something else.
        """
        if self.manifest["makes"] != "metrics":
            raise BadInput(f"{self!r} holds no metrics: it has .path, and rows have .dataset() and .to_pandas()")
        return dict(json.loads((self.path / "metrics.json").read_text(encoding="utf-8")))

    def __repr__(self) -> str:
        """Name the step, what it made and where that is; the whole manifest is in `manifest`."""
        rows = "" if self.rows is None else f", {self.rows:,} rows"
        part = f".{self.output}" if self.output else ""
        return f"<{self.manifest['makes']} of {self.manifest['name']}{part}{rows}: {self.path}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the first rows, or the figures, or what it is and where."""
        rows, name = self.rows, f"{self.manifest['name']}{f'.{self.output}' if self.output else ''}"
        try:
            if rows is not None:
                from potstill.engine.rows.files import first_rows

                shown = first_rows((self.path / "data" / self.output / part for part in self.parts(self.output)), SHOWN)
                head = list(dict.fromkeys(column for row in shown for column in row))
                lines: list[list[object]] = [[row.get(column) for column in head] for row in shown]
                return notebook.table(f"{name}: {rows:,} rows, of which the first {len(shown)}", head, lines)
            if self.manifest["makes"] == "metrics":
                figures = list(self.metrics.items())
                more = f", of which the first {FIGURES}" if len(figures) > FIGURES else ""
                return notebook.table(f"{name}: figures{more}", ["figure", "value"], figures[:FIGURES])
        except (OSError, ValueError, KeyError) as error:
            return notebook.table(f"{name}: it can't be read", ["why"], [[error]])
        return notebook.table(name, ["what", "where"], [[self.manifest["makes"], self.path]])

    def dataset(self) -> Dataset:
        """Return its rows as a `datasets.Dataset`, which does not fill the memory; of an evaluation, those it kept.

        Raises:
            BadInput: it holds no rows, or those of several outputs.
        """
        from potstill.engine.rows import files as rows

        if self.rows is None and KEPT in self.manifest["files"]:
            return rows.opened(self.path, (KEPT,))
        if self.rows is None:
            raise BadInput(f"{self!r} holds no rows: it has .path, and metrics have .metrics")
        if len(self.manifest["outputs"]) > 1 and not self.output:
            parts = ", ".join(map(str, self.manifest["outputs"]))
            raise BadInput(f"{self!r} has the rows of several outputs ({parts}): take one of these")
        return rows.opened(self.path / "data" / self.output, self.parts(self.output))

    def to_pandas(self) -> Any:
        """Return its rows as a pandas frame, all in memory."""
        return self.dataset().to_pandas()

    def parts(self, output: str = "") -> tuple[str, ...]:
        """Return the names of the files that hold the rows of one of its outputs, below `data/OUTPUT`."""
        folder = f"data/{output}/" if output else "data/"
        return tuple(sorted(name.removeprefix(folder) for name in self.manifest["files"] if name.startswith(folder)))

    def digest(self, output: str = "") -> str:
        """Return the content digest of the artifact, or of one of its outputs."""
        return str(self.manifest["digests"][output])


@dataclass(frozen=True)
class Lookup:
    """What the store says about a key."""

    artifact: Artifact | None
    """The artifact, if it is there and whole."""
    damage: str = ""
    """Why what is there can't be used, or empty."""
    strays: tuple[str, ...] = ()
    """Files that don't belong to it, where these are all that is wrong with it: `set_aside` makes it whole."""
    blemishes: tuple[str, ...] = ()
    """What is wrong with files beside its result, which is no reason to make it again."""


class Store:
    """The artifacts of one folder."""

    def __init__(self, root: Path) -> None:
        """Use the folder `root`; it is made at the first write."""
        self.root = root.absolute()
        self.journal = Journal(self.root / "journal.sqlite")
        self.runs = RunRecords(self.root)

    def prepare(self) -> None:
        """Make the store's folder if there is none; not one that everybody may write to, whatever the umask.

        What children of a run read there is code; also, who can write results can forge them.

        Raises:
            StoreError: it can't be made.
        """
        with writing(self.root):
            if self.root.is_dir():
                return
            with contextlib.suppress(FileExistsError):  # another run has made it just now
                self.root.mkdir(parents=True)
                mode = self.root.stat().st_mode
                # a umask of 0, as in some containers, would let everybody write
                if mode & stat.S_IWOTH:
                    self.root.chmod(mode & ~stat.S_IRWXO)

    def lookup(self, key: str) -> Lookup:
        """Return the artifact of `key` if its manifest and all its files are whole; read again at each call."""
        path = self.root / "artifacts" / key
        if not path.is_dir():
            return Lookup(None)
        try:
            manifest = read_manifest(path)
            # a folder that was copied or renamed by hand: its content is sound, and stands for something else
            if manifest["key"] != key:
                return Lookup(None, f"its manifest belongs to {manifest['key']}")
            state = condition(path, manifest)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return Lookup(None, f"manifest.json can't be read: {error}")
        if state.damage:
            return Lookup(None, state.damage)
        if state.strays:
            names = ", ".join(state.strays[:3]) + ", ..." * (len(state.strays) > 3)
            return Lookup(None, f"{names} stands in it and not in its manifest", state.strays)
        return Lookup(Artifact(path, manifest), blemishes=state.blemishes)

    def set_aside(self, key: str, strays: Iterable[str]) -> Path:
        """Move what does not belong to the artifact `key` out of it; return the folder where it is now.

        Raises:
            StoreError: the store can't be written.
        """
        # a folder for each time: what is set aside may be somebody's work, so nothing is overwritten
        target = self.root / "strays" / key / str(time.time_ns())
        with writing(self.root):
            for name in strays:
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # another run does the same
                    (self.root / "artifacts" / key / name).rename(place)
        return target

    def artifacts(self) -> Iterator[tuple[str, Lookup]]:
        """Yield every key in the store with what is behind it."""
        folder = self.root / "artifacts"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            yield path.name, self.lookup(path.name)

    def work(self, key: str) -> Path:
        """Return the folder in which `key` is made, with an empty `payload`, and with what a kill left beside that."""
        folder = self.root / "work" / key
        with writing(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            # what a killed run wrote may be half a file; `scratch` beside it (checkpoints) is kept, and checked by who
            # reads it
            if (folder / "payload").exists():
                shutil.rmtree(folder / "payload", ignore_errors=True)
            (folder / "payload").mkdir()
        return folder

    def publish(self, key: str, manifest: dict[str, Any]) -> Artifact:
        """Make the payload of `work(key)` the artifact `key`: flush everything, then rename once.

        Raises:
            StoreError: the store can't be written; what it held before is intact.
        """
        payload = self.root / "work" / key / "payload"
        target = self.root / "artifacts" / key
        with writing(self.root):
            # a step that passes a folder on has the manifest of that one in it
            (payload / "manifest.json").unlink(missing_ok=True)
            files = {name: payload / name for name in without_links(payload)}
            manifest["files"] = {
                name: {"size": path.stat().st_size, "sha256": file_digest(path)} for name, path in files.items()
            }
            manifest["digests"] = content_digests(manifest["files"], manifest["outputs"])
            # before the manifest, which says that they are whole: after a power cut it must not outlive them
            for name, path in files.items():
                if name not in BESIDE_PAYLOAD:
                    flush(path)
            write_whole(payload / "manifest.json", lined(sealed(manifest)))
            # a file's name is on the disk once its folder is: fsync of the file alone does not promise that
            for folder in {path.parent for path in files.values()} | {payload}:
                flush(folder)
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
            self._remove(key)
            # the one moment at which the artifact comes into being: rename within a file system is atomic (POSIX)
            payload.rename(target)
            flush(target.parent)
            # rows that failed are asked again next time, with those that are finished still in the journal
            if not manifest["counts"]["retryable"]:
                self.journal.drop(key)
            shutil.rmtree(payload.parent, ignore_errors=True)
        return Artifact(target, manifest)

    def _remove(self, key: str) -> None:
        """Move what stands at the target out of the way: it was found damaged, or some of its rows were retried."""
        target = self.root / "artifacts" / key
        if target.exists():
            # renamed first: a folder that is deleted in place would be half an artifact to other processes
            trash = self.root / "work" / f"replaced-{key}-{os.getpid()}"
            shutil.rmtree(trash, ignore_errors=True)
            target.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def used_keys(self) -> set[str]:
        """Return the keys that remembered and running runs use: all of them where a record can't be read."""
        entries, damage = self.runs.entries()
        pins = all_pins(self.root)
        used = {entry.key for entry in entries} | {key for one in pins for key in one.keys}
        # a line that can't be read may have named any key: all count as used rather than one too few
        if damage or any(one.damaged for one in pins):
            folders = [self.root / "artifacts", self.root / "work"]
            used |= {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
        return used
