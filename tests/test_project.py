"""What stands around the package: the changelog names what must be computed again, and tools have one version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from potstill import steps, trainers
from potstill.engine.step import Step

ROOT = Path(__file__).parents[1]


def test_the_changelog_names_every_step_whose_version_was_raised_with_its_version() -> None:
    lines = [line.split("|") for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()]
    rows = [(cells[1], cells[2].strip()) for cells in lines if len(cells) == 5 and cells[2].strip().isdigit()]
    named = {name: int(version) for names, version in rows for name in re.findall(r"`(\w+)`", names)}
    offered = {name: getattr(package, name) for package in (steps, trainers) for name in package.__all__}
    raised = {name: one.version for name, one in offered.items() if isinstance(one, type) and issubclass(one, Step)}
    assert named == {name: version for name, version in raised.items() if version > 1}


def test_hooks_use_the_pinned_ruff() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    asked = {text for hook in hooks for text in hook["additional_dependencies"] if text.startswith("ruff")}
    pinned = {line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("ruff==")}
    assert asked == pinned


def test_the_versions_of_the_package_agree() -> None:
    import potstill

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == potstill.__version__ == citation["version"]


def test_the_workflow_and_the_forms_are_readable() -> None:
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir():
        assert {"name", "about"} <= yaml.safe_load(form.read_text(encoding="utf-8").split("---")[1]).keys()


SOURCE = ROOT / "src/potstill"
ROOMS = sorted(page.parent for page in SOURCE.rglob("README.md") if SOURCE / "data" not in page.parents)
PLACES = {place.stem: place for place in sorted(SOURCE.rglob("*")) if place.is_dir() or place.suffix == ".py"}


def is_defined(name: str, room: Path) -> bool:
    """Return whether a module that is named in `module.thing` defines that, or one of the room, in `Class.method`."""
    *before, thing = name.split(".")
    modules = [
        file
        for file in SOURCE.rglob("*.py")
        if file.stem in before or (before[0][0].isupper() and room in file.parents)
    ]
    return any(re.search(rf"^ *(def|class) {thing}\b", file.read_text(encoding="utf-8"), re.M) for file in modules)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(SOURCE)))
def test_the_page_of_a_room_names_what_there_is(room: Path) -> None:
    text = (room / "README.md").read_text(encoding="utf-8")
    listed = re.sub(r"\([^()]*\)", "", "\n".join(re.findall(r"^- .*(?:\n  .*)*", text, re.M)))
    for words in re.findall(r"`([a-z_]+/?(?: ?[a-z_]+/?)*)`", listed):
        assert all(word in PLACES for word in re.split(r"[/ ]+", words.strip("/"))), words
    for name in re.findall(r"(?<![\w./`])`?((?:\w+\.)+\w+)(?= ?\()", text):
        assert is_defined(name, room), name
