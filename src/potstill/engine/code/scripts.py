"""Python files of the user's that code names by a path: their text may be executed, or run in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from potstill.engine.code.origins import is_first_party, module_file
from potstill.engine.code.sources import parsed
from potstill.engine.code.syntax import module_text, sha
from potstill.engine.code.walk import Walk
from potstill.engine.digests import file_digest


def named_files(walk: Walk) -> None:
    """Add the source of each Python file that a text in the code or values that were reached names."""
    paths = sorted(word for word in walk.words if word.endswith(".py") and "\n" not in word and len(word) < 1000)
    if not paths:
        return
    spelled = [word for word in paths if not Path(word).is_absolute()]
    loaded = {file for file in map(module_file, list(sys.modules.values())) if file is not None}
    computed = [Path(word) for word in paths if Path(word).is_absolute() and word not in loaded]
    folders = list(_folders(walk)) if spelled else []
    for word in spelled:
        existing = [folder / word for folder in folders if _is_file(folder / word)]
        computed += existing or [Path.cwd() / word]
    sources: dict[str, list[str]] = {}
    for path in dict.fromkeys(computed):
        if _is_file(path) and is_first_party(str(path)):
            source = parsed(str(path))
            text = sha(module_text(source.tree)) if source is not None else file_digest(path)
            sources.setdefault(f"script {_place(walk, path)}", []).append(text)
    walk.parts |= {place: ["source", *sorted(set(texts))] for place, texts in sources.items()}


def _folders(walk: Walk) -> Iterator[Path]:
    """Yield the folders that a path may start at: of the project, of the modules reached, and those that texts name."""
    files = [space.get("__file__") for space in walk.spaces.values()]
    starts = [Path(file).absolute().parent for file in files if isinstance(file, str)]
    waiting = sorted({*starts, *(start.parent for start in starts), *([Path(walk.folder)] if walk.folder else [])})
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            below = [Path(entry.path) for entry in os.scandir(folder) if entry.name in walk.words and entry.is_dir()]
        except OSError:  # gone, or not ours to read: nothing in it can be run either
            continue
        waiting += [one for one in sorted(below) if not one.is_symlink()]


def _is_file(path: Path) -> bool:
    """Return whether a path is that of a file; a text that can't be a path is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _place(walk: Walk, path: Path) -> str:
    """Return a file's path in the project; of one elsewhere its name alone, as the way to it may differ."""
    whole = path.resolve()
    inside = bool(walk.folder) and whole.is_relative_to(Path(walk.folder).resolve())
    return str(whole.relative_to(Path(walk.folder).resolve())) if inside else path.name
