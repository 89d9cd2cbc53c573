"""An artifact is what its manifest lists: what is changed, added or linked is seen, and what is no result is spared."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step, StepFailed
from potstill.engine.inventory import verify
from potstill.engine.progress import Silent, Watcher


class Make(Step):
    n: int = 2

    def run(self, context: Any) -> Any:
        context.logger.info("a line")
        return [{"n": number} for number in range(self.n)]


class Folder(Step):
    """Makes a folder with what `fill` puts into it."""

    unkeyed = frozenset({"fill"})
    fill: Any
    model: bool = False

    @property
    def makes(self) -> str:
        return "model" if self.model else "folder"

    def run(self, context: Any) -> Path:
        self.fill(context.out)
        return Path(context.out)


class Count(Step):
    rows: Rows
    again: int = 0

    def run(self, rows: Any) -> Any:
        return {"n": len(rows)}


class Said(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.said_all: list[str] = []

    def said(self, message: str) -> None:
        self.said_all.append(message)


def run_of(store: Path, step: Step, watcher: Watcher | None = None) -> Any:
    return Pipeline("p", outputs={"made": step}).run(store=store, watcher=watcher or Silent())


STRAYS = {
    "a copy of a part": lambda path: shutil.copy(path / "data" / "part-00000.parquet", path / "data" / "copy.parquet"),
    "a file": lambda path: (path / ".DS_Store").write_text("x"),
    "a folder of files": lambda path: shutil.copytree(path / "data", path / "data" / "data"),
    "a link": lambda path: (path / "data" / "more.parquet").symlink_to("part-00000.parquet"),
    "a linked folder": lambda path: (path / "data" / "more").symlink_to("/"),
    "a link to nothing": lambda path: (path / "nothing").symlink_to("gone"),
}


@pytest.mark.parametrize("what", STRAYS)
def test_what_others_put_into_an_artifact_is_seen_and_set_aside(tmp_path: Path, what: str) -> None:
    result = run_of(tmp_path, Make(name="made"))["made"]
    STRAYS[what](result.path)
    assert "in its manifest" in verify(str(tmp_path))[1][result.key]
    watcher = Said()
    run = run_of(tmp_path, Count(Make(name="made")), watcher)
    assert [record.status for record in run.records] == ["hit", "ran"]
    assert (run["made"].path / "metrics.json").read_text().split() == ["{", '"n":', "2", "}"]
    (warning,) = watcher.said_all
    assert "moved to" in warning
    assert verify(str(tmp_path))[1] == {}
    assert len(list((tmp_path / "strays" / result.key).rglob("*"))) >= 2


@pytest.mark.parametrize("name", ["log.txt", "README.md"])
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_damage_of_what_is_no_result_makes_nothing_again(tmp_path: Path, name: str, how: str) -> None:
    step = Folder(lambda out: [(out / part).write_text("x") for part in ("README.md", "weights")], model=True, name="m")
    path = run_of(tmp_path, step)["made"].path
    (path / name).unlink() if how == "gone" else (path / name).write_text("other")
    watcher = Said()
    assert [record.status for record in run_of(tmp_path, step, watcher).records] == ["hit"]
    assert name in "".join(watcher.said_all)
    (path / "weights").write_text("damaged")
    assert [record.status for record in run_of(tmp_path, step).records] == ["ran"]


def test_a_readme_that_is_the_result_is_no_card(tmp_path: Path) -> None:
    step = Folder(lambda out: (out / "README.md").write_text("x"), name="f")
    (run_of(tmp_path, step)["made"].path / "README.md").write_text("y")
    assert [record.status for record in run_of(tmp_path, step).records] == ["ran"]


def test_links_become_files_when_an_artifact_is_published(tmp_path: Path) -> None:
    (tmp_path / "blobs" / "inner").mkdir(parents=True)
    (tmp_path / "blobs" / "a").write_text("a")
    (tmp_path / "blobs" / "inner" / "b").symlink_to(tmp_path / "blobs" / "a")

    def fill(out: Path) -> None:
        (out / "file").symlink_to(tmp_path / "blobs" / "a")
        (out / "folder").symlink_to(tmp_path / "blobs")

    path = run_of(tmp_path / "store", Folder(fill, name="f"))["made"].path
    shutil.rmtree(tmp_path / "blobs")
    assert {name: (path / name).read_text() for name in ("file", "folder/a", "folder/inner/b")} == dict.fromkeys(
        ("file", "folder/a", "folder/inner/b"), "a"
    )
    assert verify(str(tmp_path / "store"))[1] == {}


@pytest.mark.parametrize(
    ("fill", "why"),
    [
        (lambda out: (out / "x").symlink_to("gone"), "x is a link to gone, where nothing is"),
        (lambda out: (out / "x").symlink_to(out), "x is a link to a folder that holds links to folders"),
        (lambda out: (out / "x").symlink_to("x"), "where nothing is"),
        (lambda out: os.mkfifo(out / "x"), "x is a pipe"),
    ],
    ids=["nowhere", "in a circle", "to itself", "a pipe"],
)
def test_what_can_not_be_kept_is_refused_by_name(tmp_path: Path, fill: Any, why: str) -> None:
    run = Pipeline("p", outputs={"made": Folder(fill, name="f")}).execute(store=tmp_path, watcher=Silent())
    assert why in run.records[0].error
    with pytest.raises(StepFailed):
        _ = run["made"]
