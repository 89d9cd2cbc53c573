"""What a step reads is what its key saw: removed, damaged and replaced inputs are made again, never read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from potstill import File, Pipeline, Rows, Step
from potstill.engine.progress import Silent
from potstill.engine.records import Run

Harm = Callable[[Path], None]


class Numbers(Step):
    """Makes rows, among them those that the file `more` beside the store asks for."""

    unkeyed = frozenset({"folder"})
    folder: str
    n: int = 3

    def run(self, context: Any) -> Any:
        more = (Path(self.folder) / "more").exists()
        return [{"n": number} for number in range(self.n + more)]


class Meanwhile(Step):
    """Does harm to the artifact of `Numbers` while it runs, once."""

    unkeyed = frozenset({"harm", "folder", "done"})
    rows: Rows
    harm: Any
    folder: str
    done: Any

    def run(self, rows: Any) -> Any:
        if not self.done.exists():
            self.done.touch()
            self.harm(artifact(Path(self.folder), "numbers"))
        return [dict(row) for row in rows]


class Count(Step):
    """Counts the rows of both inputs; does harm to the first before or after it reads it."""

    unkeyed = frozenset({"harm", "folder", "done", "early"})
    a: Rows
    b: Rows
    harm: Any = None
    folder: str = ""
    done: Any = None
    early: bool = True
    heavy = False

    def run(self, a: Any, b: Any) -> Any:
        if self.harm is not None and not self.done.exists():
            self.done.touch()
            self.harm(artifact(Path(self.folder), "numbers"))
            if self.early:
                a = pq.read_table(artifact(Path(self.folder), "numbers") / "data")
        return {"n": len(a)}


def artifact(store: Path, name: str) -> Path:
    """Return the folder of the artifact that a step made."""
    for path in sorted((store / "artifacts").iterdir()):
        if json.loads((path / "manifest.json").read_text())["name"] == name:
            return path
    raise FileNotFoundError(name)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_more(path: Path) -> None:
    """Put what a run would make now, with other content, in the artifact's place."""
    (path.parents[1] / "more").touch()
    other = Pipeline("other", outputs={"rows": Numbers(str(path.parents[1]), name="numbers")})
    shutil.rmtree(path)
    other.run(store=path.parents[1], watcher=Silent())


def link_to_a_copy(path: Path) -> None:
    shutil.copytree(path / "data", path.parents[1] / "copy")
    shutil.rmtree(path / "data")
    (path / "data").symlink_to(path.parents[1] / "copy")


HARMS: dict[str, tuple[Harm, int]] = {
    "the whole artifact": (shutil.rmtree, 3),
    "its rows": (lambda path: shutil.rmtree(path / "data"), 3),
    "its manifest": (lambda path: (path / "manifest.json").unlink(), 3),
    "a bit": (lambda path: flip(path / "data" / "part-00000.parquet"), 3),
    "its end": (lambda path: os.truncate(path / "data" / "part-00000.parquet", 9), 3),
    "another's artifact": (lambda path: (path / "manifest.json").write_text("{}"), 3),
    "one more part": (
        lambda path: shutil.copy(path / "data" / "part-00000.parquet", path / "data" / "part-00000 (1).parquet"),
        3,
    ),
    "a link": (link_to_a_copy, 3),
    "other content": (replace_by_more, 4),
}


def counted(store: Path, waits: Harm | None = None, **harm: Any) -> tuple[int, Run]:
    """Run a pipeline whose last step waits for another while its first input comes to harm; return what it counts."""
    numbers = Numbers(str(store), name="numbers")
    slow = Meanwhile(numbers, waits or (lambda path: None), str(store), store / "waited", name="slow")
    count = Count(numbers, slow, folder=str(store), done=store / "counted", name="count", **harm)
    run = Pipeline("p", outputs={"count": count}).run(store=store, watcher=Silent())
    return json.loads((run["count"].path / "metrics.json").read_text())["n"], run


@pytest.mark.parametrize("what", HARMS)
def test_an_input_that_comes_to_harm_while_its_reader_waits(tmp_path: Path, what: str) -> None:
    harm, right = HARMS[what]
    actual, run = counted(tmp_path, waits=harm)
    assert actual == right
    result = json.loads((run["count"].path / "manifest.json").read_text())
    numbers = json.loads((artifact(tmp_path, "numbers") / "manifest.json").read_text())
    assert numbers["digests"][""] in json.dumps(result["identity"]["inputs"]["a"])
    again, second = counted(tmp_path)
    assert (again, {record.status for record in second.records}) == (right, {"hit"})


@pytest.mark.parametrize("early", [True, False], ids=["before it is read", "after it was read"])
@pytest.mark.parametrize("what", ["the whole artifact", "a bit", "one more part", "other content"])
def test_an_input_that_comes_to_harm_while_its_reader_runs(tmp_path: Path, what: str, early: bool) -> None:
    harm, right = HARMS[what]
    actual, run = counted(tmp_path, harm=harm, early=early)
    assert actual == right
    assert run["count"].path.is_dir()
    counted(tmp_path)  # what else read the content that was replaced is made again
    again, second = counted(tmp_path)
    assert (again, {record.status for record in second.records}) == (right, {"hit"})


def test_an_input_that_never_keeps_still_fails_the_step(tmp_path: Path) -> None:
    class Restless(Step):
        rows: Rows

        def run(self, rows: Any) -> Any:
            flip(artifact(tmp_path, "numbers") / "data" / "part-00000.parquet")
            return [dict(row) for row in rows]

    numbers = Numbers(str(tmp_path), name="numbers")
    pipeline = Pipeline("p", outputs={"rows": Restless(numbers, name="restless")})
    record = pipeline.execute(store=tmp_path, watcher=Silent()).records[-1]
    assert record.status == "failed"
    assert "the result of numbers" in record.error
    assert "was damaged (data/part-00000.parquet was changed after it was written)" in record.error


def test_a_step_in_a_child_reads_what_its_key_saw_too(tmp_path: Path) -> None:
    class Heavy(Count):
        heavy = True

    numbers = Numbers(str(tmp_path), name="numbers")
    slow = Meanwhile(numbers, shutil.rmtree, str(tmp_path), tmp_path / "waited", name="slow")
    run = Pipeline("p", outputs={"count": Heavy(numbers, slow)}).run(store=tmp_path, watcher=Silent())
    assert json.loads((run["count"].path / "metrics.json").read_text()) == {"n": 3}


class ReadsFile(Step):
    """Reads a file before or after somebody changes it."""

    unkeyed = frozenset({"change", "early", "done"})
    path: File
    change: Any
    done: Any
    early: bool = True

    def run(self) -> Any:
        if self.early:
            self._change()
        path = Path(self.path)
        text = "".join(file.read_text() for file in sorted(path.glob("*"))) if path.is_dir() else path.read_text()
        if not self.early:
            self._change()
        return {"text": text}

    def _change(self) -> None:
        if not self.done.exists():
            self.done.touch()
            self.change()


@pytest.mark.parametrize("early", [True, False], ids=["before it is read", "after it was read"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_file_that_changes_while_a_step_runs_is_read_again(tmp_path: Path, kind: str, early: bool) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "file"
    file.write_text("old")
    (tmp_path / "link").symlink_to(file)
    given = {"file": file, "folder": tmp_path / "folder", "link": tmp_path / "link"}[kind]

    def text(change: Any) -> tuple[str, str]:
        step = ReadsFile(str(given), change, tmp_path / "changed", early, name="reads")
        run = Pipeline("p", outputs={"m": step}).run(store=tmp_path / "store", watcher=Silent())
        return json.loads((run["m"].path / "metrics.json").read_text())["text"], run.records[0].status

    assert text(lambda: file.write_text("new")) == ("new", "ran")
    assert text(lambda: None) == ("new", "hit")
    file.write_text("old")
    assert text(lambda: None) == ("old", "ran")


def test_a_file_that_never_keeps_still_fails_the_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    class Restless(ReadsFile):
        def _change(self) -> None:
            with (tmp_path / "file").open("a") as file:
                file.write("x")

    step = Restless(str(tmp_path / "file"), None, tmp_path / "changed", name="reads")
    record = Pipeline("p", outputs={"m": step}).execute(store=tmp_path / "store", watcher=Silent()).records[0]
    assert (record.status, record.bad_request) == ("failed", False)
    assert "what parameter path names has changed since the run looked it up" in record.error
