"""What was put into the journal is there after a kill; what was damaged is missing, never wrong."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from potstill.engine.store.journal import Journal
from potstill.errors import StoreError

FORKS = multiprocessing.get_context("forkserver")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_plain_values_come_back_as_they_were(journal: Journal) -> None:
    value = {"text": "é", "n": [1, 2.5, None, True], "bytes": b"\x00\xff", "inner": {"a": []}}
    journal.scoped("s").put("k", value)
    assert journal.scoped("s").get("k") == value
    assert journal.scoped("s").get("other") is None


def test_namespaces_are_apart(journal: Journal) -> None:
    journal.put_many("a", {"k": 1})
    journal.put_many("b", {"k": 2})
    assert (journal.get_many("a", ["k"]), journal.get_many("b", ["k"])) == ({"k": 1}, {"k": 2})
    assert sorted(journal.namespaces()) == ["a", "b"]
    journal.drop("a")
    assert (journal.count("a"), journal.count("b")) == (0, 1)


def test_looking_into_a_journal_that_is_not_there_makes_none(journal: Journal, tmp_path: Path) -> None:
    assert journal.get_many("a", ["k"]) == {}
    assert (journal.count("a"), journal.namespaces()) == (0, [])
    journal.drop("a")
    assert list(tmp_path.iterdir()) == []


def test_many_keys_at_once(journal: Journal) -> None:
    journal.put_many("a", {str(number): number for number in range(2500)})
    actual = journal.get_many("a", [str(number) for number in range(0, 5000, 2)])
    assert actual == {str(number): number for number in range(0, 2500, 2)}


def put_and_die(path: Path) -> None:
    journal = Journal(path)
    journal.put_many("a", {"finished": 1})
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_put_survives_kill_9(tmp_path: Path) -> None:
    process = FORKS.Process(target=put_and_die, args=(tmp_path / "j",))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert Journal(tmp_path / "j").get_many("a", ["finished"]) == {"finished": 1}


def put_many(path: Path, name: str, start: Any) -> None:
    start.wait(120)
    journal = Journal(path)
    for number in range(50):
        journal.put_many("a", {f"{name}-{number}": number})


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    start = FORKS.Event()
    processes = [FORKS.Process(target=put_many, args=(tmp_path / "j", str(number), start)) for number in range(4)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0] * 4
    assert Journal(tmp_path / "j").count("a") == 200


def test_threads_with_journals_of_their_own_write_at_once(tmp_path: Path) -> None:
    start = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        written = [threads.submit(put_many, tmp_path / "j", str(number), start) for number in range(4)]
        start.set()
        for one in written:
            one.result(200)  # a thread's error is the test's
    assert Journal(tmp_path / "j").count("a") == 200


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def open_and_put(path: Path, number: int) -> None:
        start.wait(60)
        Journal(path).put_many("a", {str(number): number})

    with ThreadPoolExecutor(8) as threads:
        for turn in range(30):
            path = tmp_path / f"j{turn}"
            for one in [threads.submit(open_and_put, path, number) for number in range(8)]:
                one.result(120)
            assert Journal(path).count("a") == 8


def test_a_damaged_entry_is_missing(journal: Journal, tmp_path: Path) -> None:
    journal.put_many("a", {"good": "x" * 50, "bad": "y" * 50})
    journal.close()
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    value = bytearray(connection.execute("SELECT value FROM entries WHERE key = 'bad'").fetchone()[0])
    value[-1] ^= 1
    connection.execute("UPDATE entries SET value = ? WHERE key = 'bad'", [bytes(value)])
    connection.commit()
    connection.close()
    assert journal.get_many("a", ["good", "bad"]) == {"good": "x" * 50}


@pytest.mark.parametrize("damage", ["overwritten", "middle"])
def test_a_damaged_file_is_set_aside_with_a_warning(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    journal.put_many("a", {str(number): "x" * 200 for number in range(500)})
    journal.close()
    path = tmp_path / "journal.sqlite"
    data = bytearray(path.read_bytes())
    if damage == "overwritten":
        data[:100] = b"garbage " * 12 + b"gone"
    else:
        data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert journal.get_many("a", ["1"]) == {}
    assert "set aside as journal.sqlite.damaged-1" in caplog.text
    assert (tmp_path / "journal.sqlite.damaged-1").read_bytes() == data
    journal.put_many("a", {"new": 1})
    assert journal.get_many("a", ["new"]) == {"new": 1}


def test_a_value_that_is_not_plain_is_the_callers_error_and_harms_nothing(journal: Journal) -> None:
    journal.put_many("a", {"k": 1})
    with pytest.raises(TypeError):
        journal.put_many("a", {"bad": object()})
    assert journal.get_many("a", ["k"]) == {"k": 1}


def test_a_journal_that_can_not_be_opened_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't be"):
        Journal(tmp_path / "file" / "journal.sqlite").put_many("a", {"k": 1})


def test_one_entry_that_can_not_be_packed_spoils_no_other(journal: Journal) -> None:
    with pytest.raises(TypeError, match="a set has no place in a row"):
        journal.put_many("n", {"a": "fine", "b": {1}, "c": "fine"})
    assert journal.get_many("n", ["a", "b", "c"]) == {"a": "fine", "c": "fine"}


def test_an_entry_that_is_too_large_spoils_no_other(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("potstill.engine.store.journal.MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match=r"an entry of 1,003 bytes is too large"):
        journal.put_many("a", {"long": "x" * 1_000, "short": "x"})
    assert journal.get_many("a", ["long", "short"]) == {"short": "x"}


def test_a_list_in_parts_is_there_whole_or_not_at_all(journal: Journal) -> None:
    scoped = journal.scoped("a")
    assert scoped.kept_parts("list", iter([[1, 2], [(3,)], []])) == scoped.get_parts("list") == [1, 2, (3,)]
    assert scoped.kept_parts("none", iter([])) == scoped.get_parts("none") == []
    journal.put_many("a", {"one": {"parts": 2}, "one 0": [1]})
    assert scoped.get_parts("one") is None
    assert scoped.get_parts("nothing") is None


def test_what_is_kept_is_what_will_be_read(journal: Journal) -> None:
    scoped = journal.scoped("s")
    kept = scoped.kept("k", {"pair": (1, 2), "text": b"x", "half": "\ud83d"})
    assert kept == scoped.get("k") == {"pair": (1, 2), "text": b"x", "half": "\ud83d"}


def keyed(number: int) -> str:
    return f"key{number:029d}"


@pytest.fixture
def whole(journal: Journal, tmp_path: Path) -> bytes:
    journal.put_many("s", {keyed(number): {"n": number} for number in range(50)})
    journal.close()
    return (tmp_path / "journal.sqlite").read_bytes()


def read_after(path: Path, content: bytes) -> dict[str, Any]:
    """Return what a journal of this content gives; nothing may stand there that was not put."""
    path.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    journal = Journal(path)
    actual = journal.get_many("s", [keyed(number) for number in range(60)])
    assert all(value == {"n": int(key[3:])} for key, value in actual.items())
    journal.namespaces()
    journal.put_many("s", {"new": 1})
    assert journal.get_many("s", ["new"]) == {"new": 1}
    journal.close()
    return actual


def test_a_key_that_was_damaged_is_missing(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    for new in (b"key" + b"0" * 26 + b"\xb017", b"key" + b"0" * 27 + b"57", b"\0" * 32):
        actual = read_after(path, whole.replace(keyed(17).encode(), new))
        assert set(actual) <= {keyed(number) for number in range(50) if number != 17}
        assert len(actual) >= 40  # those that SQLite looks for behind it


@pytest.mark.parametrize("part", ["header", "pages"])
def test_no_flipped_bit_gives_a_wrong_value_or_an_error(tmp_path: Path, whole: bytes, part: str) -> None:
    draw = random.Random(1)
    places = range(60) if part == "header" else [draw.randrange(100, len(whole)) for _ in range(60)]
    for place in places:
        for bit in range(8) if place in (16, 17, 18, 19, 47, 59) else [draw.randrange(8)]:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            read_after(tmp_path / "journal.sqlite", bytes(flipped))


def test_entries_of_an_earlier_version_are_read(journal: Journal, tmp_path: Path) -> None:
    import hashlib

    import msgpack

    journal.put_many("s", {"new": 1})
    journal.close()
    packed = msgpack.packb({"n": 1})
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    value = hashlib.blake2b(packed, digest_size=8).digest() + packed
    connection.execute("INSERT INTO entries VALUES ('s', 'old', ?)", [value])
    connection.commit()
    connection.close()
    assert journal.get_many("s", ["old", "new"]) == {"old": {"n": 1}, "new": 1}
