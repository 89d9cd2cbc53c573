"""What stands around the package: the changelog names what must be computed again, and tools have one version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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
