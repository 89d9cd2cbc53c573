"""What survives damaged artifacts, bad rows and full or read-only disks: one test a row."""

from __future__ import annotations

import json
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from potstill.teachers.cache.response_cache import GROUP
from projects import MATRIX, Project, calls, matrix, payloads, run_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return matrix(tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("manifest.json", cut),
        ("data/part-00000.parquet", cut),
        ("data/part-00000.parquet", flip),
        ("manifest.json", flip),
        ("manifest.json", Path.unlink),
        ("data/part-00000.parquet", Path.unlink),
        ("manifest.json", partial(Path.write_text, data="[]")),
        ("manifest.json", partial(Path.write_text, data='"text"')),
    ],
    ids=[
        "truncated manifest",
        "truncated payload",
        "flipped byte",
        "flipped byte in the manifest",
        "no manifest",
        "no payload",
        "manifest of another kind",
        "manifest that is a text",
    ],
)
def test_a_damaged_artifact_is_made_again_with_a_warning(project: Project, file: str, damage: object) -> None:
    first = project.run()
    whole = payloads(project.store)
    labels = first.step("labels")
    damage(Path(labels["path"]) / file)  # type: ignore[operator]
    assert project.cli("verify", "--json", code=1).json["damaged"].keys() == {labels["key"]}
    assert project.plan()["labels"][0].startswith("corrupt: ")
    again = project.run()
    assert " ".join(again.statuses().values()) == "hit ran hit hit"
    assert again.err.count("corrupt") == 1
    assert payloads(project.store) == whole
    assert len(calls(project)) == 5
    project.cli("verify")


FRAGILE = """
from pathlib import Path

from potstill import Pipeline, Rows, Step
from potstill.steps import LoadSeeds


class Fragile(Step):
    rows: Rows
    max_failed: float = 0.0

    def run(self, rows, context):
        return context.each(rows, self.one)

    def one(self, row):
        with open("calls.log", "a") as file:
            file.write(row["id"] + "\\n")
        if "bad" in row["instruction"] and not Path("fixed").exists():
            raise ValueError("a bad row")
        return {"id": row["id"], "output": row["instruction"].upper()}


seeds = LoadSeeds("seeds.jsonl")
labels = Fragile(seeds)
pipeline = Pipeline("fragile", outputs={"labels": labels})
"""


@pytest.mark.parametrize("kind", ["context.each", "PseudoLabel"])
def test_one_bad_row_among_good_ones(project: Project, kind: str) -> None:
    project.rows(["good 0", "good 1", "bad 2", "good 3"])
    if kind == "PseudoLabel":
        project.edit('EchoTeacher(log="calls.log")', 'EchoTeacher(log="calls.log", failing=("bad",), fixed_by="fixed")')
        project.edit('outputs={"count": count}', 'outputs={"labels": labels}')
    else:
        project.write(FRAGILE)
    refused = project.run(code=1)  # by default no row, or one in a hundred, may be lost
    assert "lost 1 of 4 rows" in refused.step("labels")["error"]
    allowed = project.run("--set", "labels.max_failed=0.25")
    assert project.values(allowed, "labels", "id") == ["r0", "r1", "r3"]
    assert "1 rows failed and will be retried by the next run" in allowed.err
    lost = Path(allowed.step("labels")["path"], "lost.jsonl").read_text().splitlines()
    assert [(json.loads(line)["row"], json.loads(line)["state"]) for line in lost] == [("r2", "retryable")]
    assert project.plan("--set", "labels.max_failed=0.25")["labels"] == ["1 rows to retry"]
    asked = Counter(line.split(" ", 1)[-1] for line in calls(project))
    (project.folder / "fixed").touch()
    healed = project.run("--set", "labels.max_failed=0.25")
    assert healed.statuses()["labels"] == "ran"
    assert project.values(healed, "labels", "id") == ["r0", "r1", "r2", "r3"]
    new = Counter(line.split(" ", 1)[-1] for line in calls(project)) - asked
    assert sum(new.values()) == 1  # the bad row alone
    assert set(project.run("--set", "labels.max_failed=0.25").statuses().values()) == {"hit"}


def test_more_bad_rows_than_allowed_fail_the_step_and_keep_the_good_ones(project: Project) -> None:
    project.rows(["good 0", "bad 1", "bad 2", "good 3"])
    project.write(FRAGILE)
    project.run("--set", "labels.max_failed=0.25", code=1)
    (project.folder / "fixed").touch()
    project.run("--set", "labels.max_failed=0.25")
    assert Counter(calls(project)) == {"r0": 1, "r3": 1, "r1": 2, "r2": 2}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("no right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


BIG = """

class Big(Step):
    rows: Rows

    def run(self, rows):
        import random

        draw = random.Random(0)
        return ({"id": str(number), "text": draw.randbytes(1_000_000).hex()} for number in range(8))


big = Big(labels)
pipeline = Pipeline("matrix", outputs={"big": big})
"""


def test_a_full_disk_is_a_clear_error_and_the_store_stays_intact(project: Project, disk: Path) -> None:
    project.write(MATRIX + BIG)
    store = ["--store", str(disk / "store")]
    result = project.run(*store, code=2)
    assert result.statuses() == {"seeds": "ran", "labels": "ran", "big": "failed"}
    assert "the disk is full" in result.step("big")["error"]
    assert "potstill gc" in result.err
    project.cli("verify", *store)
    remount(disk, "size=60m")
    assert project.run(*store).statuses() == {"seeds": "hit", "labels": "hit", "big": "ran"}
    assert len(calls(project)) == 5
    project.cli("verify", *store)


def test_a_disk_that_fills_up_while_the_teacher_answers_keeps_what_was_answered(project: Project, disk: Path) -> None:
    project.rows([f"question {number}" for number in range(1000)])
    project.edit('EchoTeacher(log="calls.log")', 'EchoTeacher(log="calls.log", words=500)')
    store = ["--store", str(disk / "store")]
    result = project.run(*store, code=2)
    assert result.statuses()["labels"] == "failed"
    assert "free space" in result.step("labels")["error"]
    project.cli("verify", *store)
    remount(disk, "size=60m")
    project.run(*store)
    assert sum(times > 1 for times in Counter(calls(project)).values()) <= 2 * GROUP
    assert len(set(calls(project))) == 1000


def test_an_all_cached_run_on_a_full_disk_works(project: Project, disk: Path) -> None:
    store = ["--store", str(disk / "store")]
    project.run(*store)
    with (disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    assert run_of(project, *store) == "hit hit hit hit"


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_file_that_may_not_grow_is_a_clear_error_and_the_store_stays_intact(project: Project) -> None:
    project.write(MATRIX + BIG)
    result = project.run(code=2, before=limit_files)
    assert result.statuses() == {"seeds": "ran", "labels": "ran", "big": "failed"}
    assert "can't be written" in result.step("big")["error"]
    project.cli("verify")
    assert project.run().statuses() == {"seeds": "hit", "labels": "hit", "big": "ran"}


def test_a_read_only_store_is_a_clear_error_and_serves_what_it_has(project: Project, disk: Path) -> None:
    store = ["--store", str(disk / "store")]
    project.run(*store)
    remount(disk, "ro")
    assert run_of(project, *store) == "hit hit hit hit"
    project.cli("plan", "pipe.py", *store)
    project.cli("verify", *store)
    refused = project.run(*store, "--set", "teacher.system=x", code=2)
    assert refused.statuses()["labels"] == "failed"
    assert "read-only: choose another with --store" in refused.step("labels")["error"]
    assert len(calls(project)) == 5
    remount(disk, "rw")
    assert run_of(project, *store, "--set", "teacher.system=x") == "hit ran ran ran"


def test_a_store_that_is_no_folder_is_a_clear_error(project: Project) -> None:
    (project.folder / "file").write_text("x")
    result = project.run("--store", "file", code=2)
    assert "can't be written" in result.err
    assert "choose another" in result.err


def test_an_error_of_the_users_own_files_is_not_blamed_on_the_store(project: Project) -> None:
    project.edit("# one row at a time", 'open("nowhere.txt")')
    result = project.run(code=1)
    assert "FileNotFoundError" in result.step("loud")["error"]
    assert "the store" not in result.step("loud")["error"]
