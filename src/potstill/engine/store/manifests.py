"""The manifest of an artifact: what it lists, what a damaged artifact differs in, and the digests of its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.engine.digests import combine, file_digest
from potstill.engine.json_text import json_in
from potstill.errors import BadInput

SCHEMA = 1
"""Version of the manifest's layout."""
BESIDE_PAYLOAD = ("manifest.json", "log.txt", "lost.jsonl")
"""Files of an artifact that are not its result, so that they are not part of its content digest."""
CARD = "README.md"
"""The card of a model: nothing that loads the model reads it."""
REMAINS = ".nfs"
"""How the names begin that a network file system gives to files deleted while they are open."""


@dataclass(frozen=True)
class Condition:
    """How an artifact's folder differs from its manifest."""

    damage: str = ""
    """What is wrong with its result, or empty."""
    strays: tuple[str, ...] = ()
    """Files and links that stand there and that the manifest does not list."""
    blemishes: tuple[str, ...] = ()
    """What is wrong with files that are not its result: its log, its lost rows, a model's card."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of the artifact at `path`.

    Raises:
        ValueError: it is no manifest, or was changed since it was written.
        OSError: it is missing.
    """
    manifest = json_in((path / "manifest.json").read_text(encoding="utf-8"))
    # of the manifest without its own checksum
    seal = manifest.pop("seal")
    if seal != _seal(manifest):
        raise ValueError("it was changed after it was written")
    if manifest["schema"] != SCHEMA:
        raise ValueError(f"it has layout {manifest['schema']}, this Potstill reads {SCHEMA}")
    return dict(manifest)


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest as it is written, with its checksum."""
    # of what JSON gives back: tuples are lists then, and names texts
    return {"seal": _seal(json.loads(json.dumps(manifest))), **manifest}


def lined(manifest: Mapping[str, Any]) -> str:
    """Return a manifest as JSON with a line for each of its entries, which is quicker to make than an indented one."""
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in manifest.items()) + "\n}"


def condition(path: Path, manifest: Mapping[str, Any]) -> Condition:
    """Compare the folder at `path` with its manifest: every file by content."""
    files: Mapping[str, Mapping[str, Any]] = manifest["files"]
    there = dict(entries(path))
    beside = {*BESIDE_PAYLOAD, *((CARD,) if manifest.get("makes") == "model" else ())}
    damage, blemishes = "", []
    for name, expected in files.items():
        # one problem is enough to refuse it, and hashing is slow
        if name not in beside and damage:
            continue
        problem = _problem(path / name, there.get(name), expected)
        if problem and name in beside:
            blemishes.append(f"{name} {problem}")
        elif problem:
            damage = f"{name} {problem}"
    listed = {"manifest.json", *files}
    # a file too many counts: a model folder is loaded by what lies in it, whatever the manifest lists
    strays = [name for name in there if name not in listed and not Path(name).name.startswith(REMAINS)]
    return Condition(damage, tuple(strays), tuple(blemishes))


def _problem(file: Path, kind: str | None, expected: Mapping[str, Any]) -> str:
    """Return what is wrong with one listed file of the `kind` that stands there, or nothing."""
    if kind is None:
        return "is missing"
    # a link could lead to content that changes without the artifact
    if kind != "file":
        return f"is a {kind} instead of a file"
    # cheap, and finds what was cut short, before anything is hashed
    if file.stat().st_size != expected["size"]:
        return f"has {file.stat().st_size} bytes instead of {expected['size']}"
    return "" if file_digest(file) == expected["sha256"] else "was changed after it was written"


def entries(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (relative name, kind) of all below `folder` but plain folders; kinds are file, link and special file."""
    start = len(os.path.join(folder, ""))  # noqa: PTH118 - a text, for it is asked for at every hit
    waiting = [str(folder)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.is_symlink():
                kind = "link"
            elif entry.is_dir():
                waiting.append(entry.path)
                continue
            else:
                kind = "file" if entry.is_file() else "special file"
            yield entry.path[start:], kind


def signature(folder: Path) -> frozenset[tuple[str, int, int, int, int]]:
    """Return what changes whenever a file below `folder` does; it is quick, and does not depend on the content."""
    states = set()
    for name, _ in entries(folder):
        status = os.lstat(folder / name)
        # ctime too, which no program can set back: rsync and `touch` restore mtime and size
        states.add((name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return frozenset(states)


def without_links(payload: Path) -> list[str]:
    """Put the content that links in a payload lead to in their places, so that an artifact depends on nothing else.

    Returns the relative names of its files then.

    Raises:
        BadInput: a link leads nowhere, or to a folder that holds links to folders (perhaps in a circle), or a file is a
            pipe, a socket or a device.
    """
    there = sorted(entries(payload))
    special = [(payload / name, kind) for name, kind in there if kind != "file"]
    wrong = [f"{path.relative_to(payload)} {problem}" for path, kind in special if (problem := _unkeepable(path, kind))]
    if wrong:
        raise BadInput(*(f"the step's folder can't be kept: {problem}; write plain files into it" for problem in wrong))
    for path, _ in special:
        _replace_by_content(path)
    return sorted(name for name, _ in entries(payload)) if special else [name for name, _ in there]


def _unkeepable(path: Path, kind: str) -> str:
    """Return why what stands at `path` can't become part of an artifact, or nothing."""
    if kind == "special file":
        return "is a pipe, a socket or a device"
    if not path.exists():
        return f"is a link to {path.readlink()}, where nothing is"
    # copying them could go round in a circle, or take in half a disk
    if path.is_dir() and any((path / name).is_dir() for name, kind in entries(path) if kind == "link"):
        return "is a link to a folder that holds links to folders"
    return ""


def _replace_by_content(link: Path) -> None:
    """Replace a link by a copy of what it leads to, linked files inside of that included."""
    # copied beside it and renamed, so that a kill leaves the link or the copy and nothing in between
    target, copy = link.resolve(), link.with_name(f".{link.name}.copied")
    if target.is_dir():
        shutil.copytree(target, copy)
    else:
        shutil.copyfile(target, copy)
    link.unlink()
    copy.rename(link)


def content_digests(files: Mapping[str, Mapping[str, Any]], outputs: list[str]) -> dict[str, str]:
    """Return the content digest of the whole payload, and of each named output."""
    content = {name: str(file["sha256"]) for name, file in files.items() if name not in BESIDE_PAYLOAD}
    digests = {"": combine(content.items())}
    for output in outputs:
        prefix = f"data/{output}/"
        # without the output's name: two outputs with the same rows have one digest, so the steps behind them one key
        digests[output] = combine(
            (name.removeprefix(prefix), digest) for name, digest in content.items() if name.startswith(prefix)
        )
    return digests


def _seal(manifest: Mapping[str, Any]) -> str:
    """Return the checksum of a manifest's content."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
