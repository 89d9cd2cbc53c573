"""`gc` deletes what is superseded, names what is doubtful, and takes nothing that a run uses, wherever it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.engine.processes import Process
from potstill.engine.progress import Silent
from potstill.engine.store import key_locks, pins
from potstill.engine.store.artifacts import Store
from potstill.engine.store.garbage import Collected, collect
from potstill.engine.store.pins import Pin, all_pins
from potstill.engine.store.run_records import Entry, Origin


class Make(Step):
    n: int = 1

    def run(self) -> Any:
        return [{"n": self.n}]


class Add(Step):
    rows: Rows
    by: Any = 1

    def run(self, rows: Any) -> Any:
        return [{"n": row["n"] + self.by} for row in rows]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name in ("a.py", "b.py"):
        (tmp_path / name).touch()
    return Store(tmp_path / "store")


def ran(store: Store, file: str = "a.py", *, name: str = "p", **steps: Step) -> dict[str, str]:
    """Run steps as the pipeline of a file; return their keys by name."""
    pipeline = Pipeline(name, outputs=dict(steps))
    pipeline.file = str(store.root.parent / file)
    return {record.name: record.key for record in pipeline.execute(store=store.root, watcher=Silent()).records}


def chain(n: int = 1, by: Any = 1) -> dict[str, Step]:
    return {"added": Add(Make(n, name="made"), by, name="added")}


def keys(items: Any) -> set[str]:
    return {item.key for item in items}


def there(store: Store) -> set[str]:
    return {path.name for path in (store.root / "artifacts").iterdir()}


def test_what_a_later_run_of_the_same_file_has_superseded_goes(store: Store) -> None:
    old, new = ran(store, **chain(1)), ran(store, **chain(2))
    planned = collect(store, dry_run=True)
    assert there(store) == {*old.values(), *new.values()}
    done = collect(store)
    assert done == planned
    assert keys(done.removed) == set(old.values())
    assert there(store) == set(new.values())
    assert done.size > 0
    assert collect(store) == Collected()


@pytest.mark.parametrize("change", ["file", "name"])
def test_another_file_or_pipeline_keeps_what_it_used(store: Store, change: str) -> None:
    one = ran(store, **chain(1))
    two = ran(store, **({"file": "b.py"} if change == "file" else {"name": "q"}), **chain(2))
    assert collect(store) == Collected()
    assert there(store) == {*one.values(), *two.values()}


def test_a_result_that_two_files_use_stays_for_the_other(store: Store) -> None:
    ran(store, "a.py", **chain(1, 1))
    shared = ran(store, "b.py", **chain(1, 2))["made"]
    ran(store, "a.py", **chain(2, 1))
    collect(store)
    assert shared in there(store)
    assert collect(store, consent=True) == Collected()


def test_steps_that_a_file_no_longer_has_are_named_and_go_on_consent(store: Store) -> None:
    old = ran(store, first=Make(1, name="first"))
    ran(store, second=Make(2, name="second"))
    asked = collect(store)
    assert (asked.removed, keys(asked.doubtful)) == ([], set(old.values()))
    assert "its last run has no step of that name" in asked.doubtful[0].why
    assert keys(collect(store, consent=True).removed) == set(old.values())


def test_what_an_unfinished_run_made_is_named_and_goes_on_consent(store: Store) -> None:
    failed = ran(store, **chain(1, by="no number"))
    ran(store, **chain(2))
    asked = collect(store)
    assert keys(asked.doubtful) == set(failed.values())
    assert {item.why for item in asked.doubtful} == {"a run of pipeline 'p' of a.py that did not finish used it"}
    assert (asked.removed, failed["made"] in there(store)) == ([], True)
    assert keys(collect(store, consent=True).removed) == {failed["made"]}
    assert not list((store.root / "work").iterdir())


def test_what_a_failed_run_made_is_used_until_a_complete_one(store: Store) -> None:
    failed = ran(store, **chain(1, by="no number"))
    assert collect(store, consent=True).removed == []
    again = ran(store, **chain(1, by=1))
    assert again["made"] == failed["made"]
    assert [one.path for one in all_pins(store.root) if one.alive] == []


def test_a_file_that_is_gone_is_asked_about(store: Store) -> None:
    gone = ran(store, "a.py", **chain(1))
    ran(store, "b.py", **chain(2))
    (store.root.parent / "a.py").unlink()
    asked = collect(store)
    assert (asked.removed, keys(asked.doubtful)) == ([], set(gone.values()))
    assert keys(collect(store, consent=True).removed) == set(gone.values())


def test_what_another_machine_made_is_asked_about(store: Store) -> None:
    key = ran(store, made=Make(1, name="made"))["made"]
    entry = store.runs.entries()[0][0]
    other = replace(entry.origin, host="another")
    store.runs.finish(entry.origin, [], [])
    store.runs.add(Entry(other, "made", key))
    ran(store, made=Make(2, name="made"))
    asked = collect(store)
    assert (asked.removed, keys(asked.doubtful)) == ([], {key})
    assert "another" in asked.doubtful[0].why


def test_a_project_that_was_moved_with_its_store_is_the_same_file(store: Store, tmp_path: Path) -> None:
    old = ran(store, **chain(1))
    (tmp_path / "moved").mkdir()
    for path in ("a.py", "store"):
        shutil.move(tmp_path / path, tmp_path / "moved" / path)
    moved = Store(tmp_path / "moved" / "store")
    ran(moved, **chain(2))
    assert keys(collect(moved).removed) == set(old.values())


def pinned(store: Store, key: str, **header: Any) -> Path:
    """Write the pins of a run that is not this process's."""
    pin = Pin(store.root, Origin("other", "other.py", "elsewhere"))
    pin.add(key)
    path = pin._path
    pin._over.set()
    if header:
        from potstill.engine.store import lines

        first = {**lines.read(path).values[0], **header}
        path.write_text(lines.line_of(first) + lines.line_of({"key": key}))
    return path


ELSEWHERE = {"pid": 1, "started": "another boot:pid:[1]:5"}
RUNS: dict[str, tuple[dict[str, Any], float, bool]] = {
    "runs here": ({}, 0, True),
    "runs here and was long stopped": ({}, 10 * pins.EXPIRY_SECONDS, True),
    "was killed here": ({"started": f"{Process.this().started.rpartition(':')[0]}:1"}, 0, False),
    "runs in another container": (ELSEWHERE, 0, True),
    "runs on another machine with a slow heart": (ELSEWHERE, pins.EXPIRY_SECONDS / 2, True),
    "died on another machine": (ELSEWHERE, 2 * pins.EXPIRY_SECONDS, False),
}


@pytest.mark.parametrize("what", RUNS)
def test_what_a_run_pins_stays_while_the_run_goes_on(store: Store, what: str) -> None:
    header, age, alive = RUNS[what]
    key = ran(store, made=Make(1, name="made"))["made"]
    ran(store, made=Make(2, name="made"))
    store.journal.scoped(key).put("row", 1)
    path = pinned(store, key, **header)
    os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    asked = collect(store, consent=alive)
    assert (asked.removed, key in there(store), store.journal.count(key)) == ([], True, 1)
    assert keys(asked.doubtful) == (set() if alive else {key})
    path.unlink()
    assert keys(collect(store).removed) == {key}
    assert store.journal.count(key) == 0


def test_what_is_being_made_stays_though_nothing_pins_it(store: Store) -> None:
    old = ran(store, made=Make(1, name="made"))["made"]
    ran(store, made=Make(2, name="made"))
    lock = key_locks.try_lock(store.root, old)  # as an earlier version's run holds it
    assert lock is not None
    assert collect(store, consent=True) == Collected()
    lock.release()
    assert keys(collect(store).removed) == {old}


def test_answers_and_other_common_entries_of_the_journal_stay(store: Store) -> None:
    ran(store, made=Make(1, name="made"))
    for namespace in ("responses", "decoded", "of a user's step", "f" * 32):
        store.journal.scoped(namespace).put("k", 1)
    collect(store)
    assert set(store.journal.namespaces()) == {"responses", "decoded", "of a user's step", "f" * 32}
    collect(store, consent=True)
    assert set(store.journal.namespaces()) == {"responses", "decoded", "of a user's step"}


def older(manifest: dict[str, Any]) -> dict[str, Any]:
    from potstill.engine.store.manifests import sealed

    del manifest["seal"], manifest["file"]
    return sealed(manifest)


def test_what_an_earlier_version_made_and_recorded_is_asked_about(store: Store) -> None:
    key = ran(store, made=Make(1, name="made"))["made"]
    path = store.root / "artifacts" / key / "manifest.json"
    path.write_text(json.dumps(older(json.loads(path.read_text()))))
    (store.root / "runs" / "p.jsonl").write_text(
        json.dumps({"pipeline": "p", "step": "made", "key": key, "identity": {}}) + "\n"
    )
    assert collect(store) == Collected()
    ran(store, made=Make(2, name="made"))
    asked = collect(store)
    assert (asked.removed, keys(asked.doubtful)) == ([], {key})
    assert keys(collect(store, consent=True).removed) == {key}


@pytest.mark.parametrize("folder", ["runs", "pins"])
def test_where_a_record_can_not_be_read_nothing_is_deleted(store: Store, folder: str) -> None:
    old = ran(store, made=Make(1, name="made"))["made"]
    ran(store, made=Make(2, name="made"))
    pinned(store, old, **ELSEWHERE)
    (path,) = (store.root / folder).glob("*.jsonl")
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    refused = collect(store, consent=True)
    assert (refused.removed, len(refused.problems)) == ([], 1)
    assert str(path) in refused.problems[0]
    assert old in there(store)
    assert old in store.used_keys()


LEFT: dict[str, Callable[[Store, str], Path]] = {
    "work of a result that is whole": lambda store, key: store.work(key),
    "a replaced artifact": lambda store, key: store.root / "work" / f"replaced-{key}-1",
    "an artifact that a killed gc took": lambda store, key: store.root / "work" / "removed-1-0-artifacts-x",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_kills_leave_behind_goes(store: Store, what: str) -> None:
    key = ran(store, made=Make(1, name="made"))["made"]
    path = LEFT[what](store, key)
    (path / "more").mkdir(parents=True, exist_ok=True)
    (path / "more" / "file").write_text("x")
    assert collect(store).removed == []
    assert not list((store.root / "work").iterdir())
    assert key in there(store)


def test_an_artifact_that_is_a_link_to_another_disk_goes_as_a_link(store: Store, tmp_path: Path) -> None:
    old = ran(store, made=Make(1, name="made"))["made"]
    shutil.move(store.root / "artifacts" / old, tmp_path / "disk")
    (store.root / "artifacts" / old).symlink_to(tmp_path / "disk")
    assert ran(store, made=Make(1, name="made"))["made"] == old
    ran(store, made=Make(2, name="made"))
    assert keys(collect(store).removed) == {old}
    assert old not in there(store)
    assert (tmp_path / "disk" / "manifest.json").exists()
    assert not list((store.root / "work").iterdir())
