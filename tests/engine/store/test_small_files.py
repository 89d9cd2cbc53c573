"""Whatever becomes of a small file of the store, no command ends in a traceback and nothing that is used is deleted."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.engine.inventory import listing, verify
from potstill.engine.processes import Process
from potstill.engine.progress import Silent
from potstill.engine.running.executor import Local
from potstill.engine.running.service_state import State, write_state
from potstill.engine.store import lines, pins
from potstill.engine.store.artifacts import Store
from potstill.engine.store.garbage import collect
from potstill.engine.store.pins import Pin
from potstill.engine.store.run_records import Origin

Damage = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def zeroed(content: bytes, draw: random.Random) -> bytes:
    length = draw.randrange(len(content))
    return content[:length] + bytes(len(content) - length)


DAMAGES: dict[str, Damage] = {
    "a flipped bit": flipped,
    "several flipped bits": lambda content, draw: flipped(flipped(flipped(content, draw), draw), draw),
    "cut short": lambda content, draw: content[: draw.randrange(len(content))],
    "zeros at the end": zeroed,
    "a block of another file": lambda content, draw: content[: draw.randrange(len(content))] + b"\xffpart\n{}[",
    "empty": lambda content, draw: b"",
    "nested deep": lambda content, draw: b"[" * 20_000,
    "a line twice": lambda content, draw: content + content.splitlines(keepends=True)[-1],
}


class Make(Step):
    n: int = 2

    def run(self) -> Any:
        return [{"n": number} for number in range(self.n)]


class Count(Step):
    rows: Rows

    def run(self, rows: Any, context: Any) -> Any:
        return context.each(rows, lambda row: {"n": row["n"], "all": len(rows)})


def pipeline(n: int = 2) -> Pipeline:
    return Pipeline("p", outputs={"counted": Count(Make(n, name="made"), name="counted")})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with all kinds of small files: a superseded and a last run, another's pins, a service, a log."""
    root = tmp_path_factory.mktemp("small") / "store"
    pipeline(1).run(store=root, watcher=Silent())
    pipeline(2).run(store=root, watcher=Silent())
    store = Store(root)
    pin = Pin(root, Origin("other", "other.py", "elsewhere"))
    pin.add("f" * 32)
    pin._over.set()
    header = {**lines.read(pin._path).values[0], "pid": 1, "started": "another boot:pid:[1]:5"}
    pin._path.write_text(lines.line_of(header) + lines.line_of({"key": "f" * 32}))
    (root / "services").mkdir()
    here = Process.this()
    write_state(root / "services" / f"echo.{pins.run_name()}.json", State("echo", here, here, here, 8000))
    store.journal.scoped("f" * 32).put("row", 1)
    store.journal.close()
    return root


SMALL = (
    "runs/*.jsonl",
    "pins/*.jsonl",
    "services/*.json",
    "artifacts/*/manifest.json",
    "artifacts/*/log.txt",
    "artifacts/*/data/*.parquet",
    "locks/*",
    "journal.sqlite",
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("files", SMALL)
def test_damage_of_a_small_file_costs_a_forgotten_hit_at_most(
    template: Path, tmp_path: Path, files: str, damage: str
) -> None:
    draw = random.Random(f"{files} {damage}")
    for turn in range(2):
        root = tmp_path / str(turn)
        shutil.copytree(template, root)
        path = draw.choice(sorted(root.glob(files)))
        content = path.read_bytes()
        path.write_bytes(DAMAGES[damage](content, draw) if content else b"x")
        used = {step.key for step in pipeline().plan(store=root) if step.key}
        listing(str(root))
        verify(str(root))
        kept = {key for key in used if Store(root).lookup(key).artifact is not None}
        collect(Store(root))
        assert all(Store(root).lookup(key).artifact is not None for key in kept)
        run = pipeline().run(store=root, watcher=Silent(), executor=Local(forks=False))
        assert run["counted"].dataset().to_list() == [{"n": 0, "all": 2}, {"n": 1, "all": 2}]
        assert {record.status for record in run.records} == {"hit"} or kept != used or "manifest" in str(path)
        again = pipeline().run(store=root, watcher=Silent(), executor=Local(forks=False))
        assert {record.status for record in again.records} == {"hit"}
