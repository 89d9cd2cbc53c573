"""A file system without locks is refused by name, by every command that needs them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from potstill import Pipeline
from potstill.cli import main
from potstill.engine.store.file_locks import ALONE, AT_ONCE, lock_file
from potstill.errors import RequestError
from potstill.steps import LoadRows

REMEDY = "has no file locks.*choose a store on another disk with --store or POTSTILL_STORE"


def refuse_with(number: int) -> Callable[[int, int], None]:
    def flock(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_no_locks_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse_with(number))
    pipeline = Pipeline("p", {"rows": LoadRows([{"x": 1}])})
    with pytest.raises(RequestError, match=REMEDY):
        pipeline.run(store=tmp_path / "store")


def test_a_command_ends_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Pipeline("p", {"rows": LoadRows([{"x": 1}])}).run(store=tmp_path / "store")
    capsys.readouterr()
    monkeypatch.setattr(fcntl, "flock", refuse_with(errno.ENOLCK))
    assert main(["gc", "--store", str(tmp_path / "store")]) == 2
    said = capsys.readouterr().err
    assert "error: the file system of" in said
    assert "Traceback" not in said


def test_a_lock_that_another_holds_is_no_lack_of_locks(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        lock_file(first, tmp_path / "lock", ALONE)
        with pytest.raises(BlockingIOError):
            lock_file(second, tmp_path / "lock", ALONE | AT_ONCE)
