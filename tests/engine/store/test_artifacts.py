"""Only a manifest means complete; what is damaged is a miss; records survive kills."""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

import running
from potstill import BadInput, Step
from potstill.engine.store import key_locks
from potstill.engine.store.artifacts import Store
from potstill.engine.store.disk import writing
from potstill.engine.store.manifests import read_manifest
from potstill.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def manifest(key: str, retryable: int = 0) -> dict[str, Any]:
    return {"schema": 1, "key": key, "rows": None, "outputs": [], "counts": {"retryable": retryable}}


def publish(store: Store, key: str, retryable: int = 0, **files: str) -> Any:
    folder = store.work(key) / "payload"
    for name, text in files.items():
        (folder / name).write_text(text)
    return store.publish(key, manifest(key, retryable))


def test_what_was_published_is_found_whole(store: Store) -> None:
    publish(store, "k", a="1", b="2")
    actual = store.lookup("k").artifact
    assert actual is not None
    assert actual.path == store.root / "artifacts" / "k"
    assert (actual.path / "a").read_text() == "1"
    assert set(actual.manifest["files"]) == {"a", "b"}
    assert list((store.root / "work").iterdir()) == []


def test_a_folder_without_a_manifest_is_nothing(store: Store) -> None:
    (store.root / "artifacts" / "k").mkdir(parents=True)
    assert store.lookup("k").artifact is None
    assert store.lookup("other") == store.lookup("another")
    publish(store, "k", a="1")
    assert store.lookup("k").artifact is not None


def test_the_manifest_of_another_key_is_not_taken(store: Store) -> None:
    publish(store, "k", a="1")
    (store.root / "artifacts" / "k").rename(store.root / "artifacts" / "l")
    assert "belongs to k" in store.lookup("l").damage


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        ({"rows": 5}, "changed after it was written"),
        ({"schema": 2}, "changed after it was written"),
    ],
)
def test_an_edited_manifest_is_not_believed(store: Store, change: dict[str, Any], damage: str) -> None:
    path = publish(store, "k", a="1").path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert damage in store.lookup("k").damage


def test_a_manifest_of_another_layout_is_named(store: Store) -> None:
    folder = store.work("k")
    (folder / "payload" / "a").write_text("1")
    store.publish("k", {**manifest("k"), "schema": 99})
    assert "layout 99" in store.lookup("k").damage
    with pytest.raises(ValueError, match="layout 99"):
        read_manifest(store.root / "artifacts" / "k")


def test_the_content_digest_depends_on_content_alone(store: Store) -> None:
    one, two = publish(store, "k", a="1", **{"log.txt": "x"}), publish(store, "l", a="1", **{"log.txt": "y"})
    assert one.digest() == two.digest()
    assert publish(store, "m", a="2").digest() != one.digest()
    assert publish(store, "n", b="1").digest() != one.digest()


def test_a_step_may_write_a_file_that_is_named_like_the_manifest(store: Store) -> None:
    publish(store, "k", **{"manifest.json": "{}", "a": "1"})
    assert store.lookup("k").artifact is not None


def test_scratch_survives_and_payload_does_not(store: Store) -> None:
    folder = store.work("k")
    (folder / "scratch").mkdir()
    for part in ("payload", "scratch"):
        (folder / part / "file").write_text("x")
    assert [path.name for path in store.work("k").rglob("file")] == ["file"]
    assert (folder / "scratch" / "file").exists()


def test_the_journal_of_a_key_is_dropped_unless_rows_are_to_be_retried(store: Store) -> None:
    for key, retryable in (("k", 0), ("l", 2)):
        store.journal.scoped(key).put("row", 1)
        publish(store, key, retryable, a="1")
    assert store.journal.namespaces() == ["l"]


def test_only_errors_of_the_store_are_blamed_on_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing(tmp_path / "store"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(ConnectionError), writing(tmp_path):
        raise ConnectionError("the network")
    with pytest.raises(StoreError, match="What it held is intact"), writing(tmp_path):
        (tmp_path / "in" / "it").write_text("x")
    with pytest.raises(StoreError, match="potstill gc"), writing(tmp_path):
        raise OSError(28, "No space left on device")


def test_a_lock_is_held_once_and_freed(tmp_path: Path) -> None:
    lock = key_locks.try_lock(tmp_path, "k")
    assert lock is not None
    assert key_locks.try_lock(tmp_path, "k") is None
    assert "process" in key_locks.owner(tmp_path, "k")
    other = key_locks.try_lock(tmp_path, "l")
    assert other is not None
    lock.release()
    assert key_locks.try_lock(tmp_path, "k") is not None


def test_a_lock_file_that_was_deleted_meanwhile_gives_no_second_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock = fcntl.flock

    def deleting(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        (tmp_path / "locks" / "k").unlink()  # what `gc` does between another's open and its lock
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", deleting)
    lock = key_locks.try_lock(tmp_path, "k")
    assert lock is not None
    assert key_locks.try_lock(tmp_path, "k") is None


@pytest.mark.parametrize(("mask", "mode"), [(0o000, 0o770), (0o002, 0o775), (0o022, 0o755), (0o077, 0o700)])
def test_no_stranger_can_write_to_a_new_store(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        Store(tmp_path / "deep" / "store").prepare()
    finally:
        os.umask(before)
    assert (tmp_path / "deep" / "store").stat().st_mode & 0o777 == mode


def test_a_store_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    Store(tmp_path / "store").prepare()
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o777


def test_several_runs_may_make_the_store_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for turn in range(50):
            result = [pool.submit(Store(tmp_path / str(turn) / "store").prepare) for _ in range(8)]
            assert [one.result() for one in result] == [None] * 8


class Figures(Step):
    """Measures, with or without rows beside the figures."""

    keeps: bool = False
    makes: ClassVar[str] = "metrics"

    def run(self, context):
        import pyarrow as pa
        from pyarrow import parquet

        if self.keeps:
            context.out.mkdir(parents=True, exist_ok=True)
            parquet.write_table(pa.table({"answer": ["yes", "no"]}), context.out / "rows.parquet")
        return {"accuracy": 0.5}


class TwoOutputs(Step):
    outputs = ("train", "test")

    def run(self):
        return {"train": [{"n": 1}, {"n": 2}], "test": [{"m": 3}]}


def test_an_evaluation_gives_the_rows_that_it_kept(tmp_path):
    assert running.artifact_of(Figures(keeps=True), tmp_path).to_pandas()["answer"].tolist() == ["yes", "no"]


@pytest.mark.parametrize("step", [Figures(), TwoOutputs()])
def test_what_holds_no_rows_of_its_own_says_so_instead_of_giving_none(tmp_path, step):
    made = running.artifact_of(step, tmp_path)
    whole = dataclasses.replace(made, output="")
    with pytest.raises(BadInput, match=r"no rows: it has \.path|several outputs \(train, test\)"):
        whole.to_pandas()
