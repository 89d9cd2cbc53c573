"""What an earlier Potstill made is found again by the same pipeline, its results and its teacher's responses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from golden_store import KEPT, copied
from projects import Project

STEPS = tuple(
    """
    read given both renamed unlike short parts mixed chosen answers loud counts
    """.split()
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(copied(tmp_path), {"POTSTILL_STORE": "store"})


def test_a_store_of_an_earlier_version_is_all_hits(project: Project) -> None:
    assert project.plan() == {name: [] for name in STEPS}
    assert project.run().statuses() == dict.fromkeys(STEPS, "hit")
    assert not (project.folder / "calls.log").exists()


def test_responses_of_an_earlier_version_are_not_asked_for_again(project: Project) -> None:
    shutil.rmtree(project.run().step("answers")["path"])
    assert project.run().statuses() == dict.fromkeys(STEPS, "hit") | {"answers": "ran"}
    assert not (project.folder / "calls.log").exists()


def test_the_store_is_small_and_names_no_machine() -> None:
    files = [path for path in (KEPT / "store").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    assert not [path for path in files if any(word in path.read_bytes() for word in (b"/tmp/", b"/home/", b"/root/"))]
