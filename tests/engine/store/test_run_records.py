"""What each pipeline file used last: apart by file and machine, whole after kills, read from earlier versions."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from potstill.engine.store.run_records import Entry, Origin, RunRecords

A, B = Origin("p", "a.py", "here"), Origin("p", "b.py", "here")


@pytest.fixture
def records(tmp_path: Path) -> RunRecords:
    return RunRecords(tmp_path)


def keys(records: RunRecords, pipeline: str = "p", file: str = "a.py") -> dict[str, str]:
    return {name: entry.key for name, entry in records.last(pipeline, file).items()}


def used(records: RunRecords) -> set[str]:
    return {entry.key for entry in records.entries()[0]}


def test_the_last_key_of_each_step_is_known(records: RunRecords) -> None:
    for step, key in (("a", "k1"), ("b", "k2"), ("a", "k3")):
        records.add(Entry(A, step, key, {"params": {step: key}}))
    assert keys(records) == {"a": "k3", "b": "k2"}
    assert used(records) == {"k1", "k2", "k3"}
    assert records.last("p", "a.py")["a"].identity == {"params": {"a": "k3"}}


def test_a_complete_run_forgets_what_its_file_used_before_and_nothing_else(records: RunRecords) -> None:
    for origin, key in ((A, "k1"), (B, "k2"), (Origin("p", "a.py", "there"), "k3"), (A, "k4")):
        records.add(Entry(origin, "a", key))
    records.add(Entry(A, "b", "k5"))
    records.finish(A, [Entry(A, "a", "k6")], ["a", "b", "never ran"])
    assert used(records) == {"k2", "k3", "k5", "k6"}
    assert keys(records, file="b.py") == {"a": "k2"}
    records.finish(A, [], ["a"])
    assert used(records) == {"k2", "k3", "k6"}


@pytest.mark.parametrize("names", [("a/b", "a_b"), ("x" * 300, "x" * 299), ("ü", "u"), ("..", "."), ("", "_")])
def test_pipelines_of_strange_names_do_not_mix(records: RunRecords, names: tuple[str, str]) -> None:
    for number, name in enumerate(names):
        records.add(Entry(Origin(name, "a.py"), "s", f"k{number}"))
    assert [keys(records, name) for name in names] == [{"s": "k0"}, {"s": "k1"}]


def test_what_an_earlier_version_recorded_is_read_until_the_file_has_run(records: RunRecords, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    old = [{"pipeline": "p", "step": "a", "key": "k1", "identity": {}}, {"pipeline": "p"}, ["no record"], 3]
    (tmp_path / "runs" / "p.jsonl").write_text("\n".join(json.dumps(line) for line in old))
    assert keys(records) == {"a": "k1"}
    records.add(Entry(A, "a", "k2"))
    assert keys(records) == {"a": "k2"}
    assert keys(records, file="b.py") == {"a": "k1"}
    assert used(records) == {"k1", "k2"}


def test_a_damaged_file_is_named_and_kept_as_it_is(records: RunRecords, tmp_path: Path) -> None:
    records.add(Entry(A, "a", "k1"))
    path = tmp_path / "runs" / "p.jsonl"
    damaged = path.read_bytes().replace(b"k1", b"k2")
    path.write_bytes(damaged)
    records.finish(A, [Entry(A, "a", "k3")], ["a"])
    assert path.read_bytes() == damaged
    assert records.entries() == ([], [f"{path}, line 2"])


def write(folder: Path, name: str, start: Any) -> None:
    start.wait(60)
    records = RunRecords(folder)
    for number in range(20):
        records.add(Entry(Origin("p", name), f"s{number}", f"{name}-{number}"))
        records.finish(Origin("p", name), [], [f"s{before}" for before in range(number + 1)])


def test_processes_that_record_at_once_lose_nothing(records: RunRecords, tmp_path: Path) -> None:
    forks = multiprocessing.get_context("forkserver")
    start = forks.Event()
    processes = [forks.Process(target=write, args=(tmp_path, f"f{number}", start)) for number in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert used(records) == {f"f{name}-{number}" for name in range(3) for number in range(20)}
