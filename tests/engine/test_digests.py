"""A digest is that of the content, wherever links lead; a remembered one is used only if it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from potstill.engine import digests
from potstill.engine.digests import file_digest, path_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "a.txt").write_text("a")
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "b.txt").write_text("b")
    (tmp_path / "elsewhere" / "deep" / "c.txt").write_text("c")
    return folder


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "a file": lambda folder: link(folder / "b.txt", folder.parent / "elsewhere" / "b.txt"),
    "a folder": lambda folder: link(folder / "sub", folder.parent / "elsewhere"),
    "a link to a linked folder": lambda folder: (
        link(folder.parent / "middle", folder.parent / "elsewhere"),
        link(folder / "sub", folder.parent / "middle"),
    )[0],
    "a folder within a linked folder": lambda folder: (
        (folder.parent / "outer").mkdir(),
        link(folder.parent / "outer" / "inner", folder.parent / "elsewhere"),
        link(folder / "sub", folder.parent / "outer"),
    )[0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_stands_behind_a_link_is_content(folder: Path, layout: str) -> None:
    LAYOUTS[layout](folder)
    before = path_digest(folder)
    assert path_digest(folder) == before
    (folder.parent / "elsewhere" / "b.txt").write_text("changed")
    changed = path_digest(folder)
    assert changed != before
    (folder.parent / "elsewhere" / "new.txt").write_text("new")
    assert (path_digest(folder) != changed) == (layout != "a file")


def test_a_linked_file_counts_like_a_copy(folder: Path) -> None:
    link(folder / "b.txt", folder.parent / "elsewhere" / "b.txt")
    linked = path_digest(folder)
    (folder / "b.txt").unlink()
    (folder / "b.txt").write_text("b")
    assert path_digest(folder) == linked


def test_links_in_circles_and_to_nothing_end(folder: Path) -> None:
    plain = path_digest(folder)
    link(folder / "self", folder)
    link(folder / "part" / "up", folder.parent)
    link(folder / "loop", folder / "loop")
    link(folder / "nothing", folder.parent / "gone")
    before = path_digest(folder)
    assert before not in (plain, path_digest(folder / "part"))
    (folder / "nothing").unlink()
    link(folder / "nothing", folder.parent / "gone elsewhere")
    assert path_digest(folder) != before


def test_many_links_to_each_other_are_read_once(tmp_path: Path) -> None:
    for number in range(40):  # each holds two links to the next: 2^40 ways to the last
        (tmp_path / f"d{number}").mkdir()
        for name in "ab":
            link(tmp_path / f"d{number}" / name, tmp_path / f"d{number + 1}")
    (tmp_path / "d40").mkdir()
    (tmp_path / "d40" / "x").write_text("x")
    before = path_digest(tmp_path / "d0")
    (tmp_path / "d40" / "x").write_text("y")
    assert path_digest(tmp_path / "d0") != before


def test_a_note_that_was_damaged_is_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "REMEMBERED_SIZE", 1)
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -1.0)
    path = tmp_path / "file"
    path.write_text("content")
    right = file_digest(path)
    (note,) = digests.cache_folder().iterdir()
    whole = note.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            note.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            assert file_digest(path) == right
    for text in ("0" * 64, "", " ", f"{'0' * 64} {'0' * 16}", right):
        note.write_text(text)
        assert file_digest(path) == right


def test_a_note_is_used_for_its_own_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "REMEMBERED_SIZE", 1)
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -1.0)
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        file_digest(tmp_path / name)
    one, two = digests.cache_folder().iterdir()
    one.write_bytes(two.read_bytes())
    assert file_digest(tmp_path / "one") != file_digest(tmp_path / "two")


BESIDE_FILES: dict[str, Callable[[Path], None]] = {
    "an empty folder": lambda path: path.mkdir(),
    "an empty folder in a folder": lambda path: (path / "inner").mkdir(parents=True),
    "a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("beside", BESIDE_FILES.values(), ids=BESIDE_FILES.keys())
def test_what_a_list_of_a_folder_shows_counts_where_it_is_asked_for(
    folder: Path, beside: Callable[[Path], None]
) -> None:
    files, listed = path_digest(folder), path_digest(folder, listed=True)
    assert files == listed
    beside(folder / "one")
    assert path_digest(folder) == files
    one = path_digest(folder, listed=True)
    (folder / "one").rename(folder / "two")
    assert len({listed, one, path_digest(folder, listed=True)}) == 3
