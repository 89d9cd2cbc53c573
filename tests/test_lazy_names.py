"""Public names stand in stubs alone, from which they are imported when they are first used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.lazy_names import stub_names

SOURCE = Path(__file__).parents[1] / "src"
STUBS = sorted(SOURCE.rglob("__init__.pyi"))


def package_of(stub: Path) -> str:
    return ".".join(stub.parent.relative_to(SOURCE).parts)


@pytest.mark.parametrize("stub", STUBS, ids=package_of)
def test_every_name_that_type_checkers_read_in_a_stub_is_offered_and_defined_where_the_stub_says(stub: Path) -> None:
    package = importlib.import_module(package_of(stub))
    imports = [node for node in ast.walk(ast.parse(stub.read_text())) if isinstance(node, ast.ImportFrom)]
    read = {alias.asname: node.module for node in imports for alias in node.names}
    assert stub_names(package.__name__) == read
    assert sorted(package.__all__) == sorted(read)
    assert read.keys() <= set(dir(package))
    for name, module in read.items():
        value = getattr(package, name)
        assert value is getattr(sys.modules[module], name)
        assert not isinstance(value, type) or value.__module__ == module


@pytest.mark.parametrize("stub", STUBS, ids=package_of)
def test_a_name_that_a_package_lacks_is_an_error_that_names_both(stub: Path) -> None:
    package = importlib.import_module(package_of(stub))
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Mapp'"):
        _ = package.Mapp
    with pytest.raises(ImportError, match=f"cannot import name 'Mapp' from '{package.__name__}'"):
        exec(f"from {package.__name__} import Mapp")


def test_the_nearest_name_is_suggested() -> None:
    script = "import potstill.steps; potstill.steps.Mapp"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Did you mean: 'Map'?" in done.stderr


def test_importing_the_packages_imports_no_module_that_a_stub_names() -> None:
    packages = [package_of(stub) for stub in STUBS]
    modules = {home for package in packages for home in stub_names(package).values()}
    script = f"import sys, {', '.join(packages)}\nassert not {modules!r} & sys.modules.keys(), sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_pipeline_of_any_steps_can_be_written_and_planned_without_torch() -> None:
    script = (
        "import sys, potstill, potstill.recipes, potstill.steps, potstill.trainers\n"
        "for package in (potstill, potstill.recipes, potstill.steps, potstill.trainers):\n"
        "    for name in package.__all__:\n"
        "        getattr(package, name)\n"
        "        assert 'torch' not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("line", ["from a import b", "from a import (b as b)", "from a import b as c", "import a as a"])
def test_a_stub_with_an_import_in_another_form_is_refused(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "with_stub"
    package.mkdir()
    package.joinpath("__init__.py").write_text("")
    package.joinpath("__init__.pyi").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("with_stub")
    with pytest.raises(ValueError, match="the stub of with_stub has"):
        stub_names("with_stub")
    del sys.modules["with_stub"]
