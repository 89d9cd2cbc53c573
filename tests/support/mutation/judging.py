"""Keys and results of projects, each computed in a process of its own that is forked from this one."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation import edits
from mutation.generator import draw

LIBRARIES = tuple(
    """
    jinja2 numpy pandas pyarrow pydantic potstill.engine.step potstill.engine.encoding asyncio inspect
    potstill.engine.code.values potstill.engine.code.statements textwrap typing_extensions
    """.split()
)
"""What every project's process finds imported already."""


@dataclass
class Tally:
    """What came out of many projects."""

    edits: int = 0
    """Edits that changed the result, and as many that could not."""
    stale: list[str] = field(default_factory=list)
    """Results that changed while the key did not."""
    refused: list[str] = field(default_factory=list)
    """Plain projects that were refused."""
    missed: list[str] = field(default_factory=list)
    """Keys that changed for nothing."""
    broken: list[str] = field(default_factory=list)
    """Projects that don't run, or whose edit changes nothing: faults of the generator."""
    neutral: Counter[str] = field(default_factory=Counter)
    """Edits that can't change a result, by kind."""

    def __str__(self) -> str:
        """Return the figures in one line."""
        kinds = ", ".join(f"{name} {count}" for name, count in self.neutral.most_common())
        return (
            f"{self.edits} edits of each kind: {len(self.stale)} stale, {len(self.refused)} refused, "
            f"{len(self.missed)} false misses, {len(self.broken)} broken ({kinds})"
        )


def judge(seeds: Iterable[int]) -> Tally:
    """Return what comes out of the projects of these seeds."""
    for name in LIBRARIES:
        importlib.import_module(name)
    _others()
    gc.freeze()
    tally = Tally()
    for seed in seeds:
        project = draw(seed)
        name, files = edits.neutral(project)
        entry = "main.py" if seed % 3 else "renamed.py"
        before, after, same = outcome(project.files), outcome(edits.changed(project)), outcome(files, entry)
        if "error" in before or "error" in after or before["result"] == after["result"]:
            refused = "can't be part of a key" in before.get("error", "") + after.get("error", "")
            (tally.refused if refused else tally.broken).append(f"{project}\n{before}\n{after}")
            continue
        tally.edits += 1
        tally.neutral[name] += 1
        if before["key"] == after["key"]:
            tally.stale.append(str(project))
        if before["key"] != same.get("key"):
            tally.missed.append(f"{project}\nafter the edit '{name}': {_difference(before, same)}")
    return tally


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the parts of two keys that differ."""
    if "error" in after:
        return str(after["error"])
    one, two = before["parts"], after["parts"]
    return str([name for name in sorted({*one, *two}) if one.get(name) != two.get(name)])


def outcome(files: dict[str, str], entry: str = "main.py") -> dict[str, Any]:
    """Return the key and the result of a project's step, or the error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            found = _computed(files, entry)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent reports it
            found = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writing, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(text)) if text else {"error": "the process died"}


def _computed(files: dict[str, str], entry: str) -> dict[str, Any]:
    """Write a project, run its file as the main module, and return the key and the result."""
    from potstill.engine import code, encoding

    folder = Path(tempfile.mkdtemp())
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        (folder / "main.py").rename(folder / entry)
        space = _main(folder / entry)
        if "GIVEN" in space:
            parts = encoding.encode(space["GIVEN"], ordered=True)
            result = space["GIVEN"]({})
        else:
            parts = code.class_code(space["S"])
            result = list(space["S"]().run())
        shown = parts if isinstance(parts, dict) else parts[-1] if isinstance(parts[-1], dict) else {"": parts}
        return {"key": encoding.digest_encoded(parts), "parts": shown, "result": repr(result)}
    finally:
        shutil.rmtree(folder)


def _main(path: Path) -> dict[str, Any]:
    """Run a file as the main module and return its variables."""
    sys.dont_write_bytecode = True
    _forget_other_projects()
    sys.path.insert(0, str(path.parent))
    module = types.ModuleType("__main__")
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), vars(module))
    return vars(module)


def _forget_other_projects() -> None:
    """Leave only libraries to be imported: tests and benchmarks have modules whose names projects take, too."""
    folders, modules = _others()
    sys.path[:] = [folder for folder in sys.path if folder not in folders]
    for name in modules:
        sys.modules.pop(name, None)


@functools.cache
def _others() -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the folders and the modules of other projects than those that are judged."""
    from potstill.engine.code.origins import is_first_party, is_own_module, module_file

    folders = frozenset(folder for folder in sys.path if is_first_party(str(Path(folder, "module.py"))))
    own = (name for name, module in sys.modules.items() if module_file(module) and is_own_module(module))
    return folders, tuple(own)


if __name__ == "__main__":  # cd tests/support && python -m mutation.judging FIRST COUNT
    first, count = map(int, sys.argv[1:3])
    found = judge(range(first, first + count))
    for kind in ("stale", "refused", "missed", "broken"):
        for text in getattr(found, kind)[: int(sys.argv[3]) if len(sys.argv) > 3 else 3]:
            print(f"===== {kind}: {text}\n")
    print(found)
