"""A heavy step's process gets the user's modules that the step can reach, and not all that the run has imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from potstill.engine.running.carried import carried
from potstill.steps import LoadRows, Map
from potstill.trainers import HardLabel

FILES = {
    "steps_of_mine": "from potstill import Step\nimport outer\n\n\nclass Mine(Step):\n    rule: object = None\n\n"
    "    def run(self):\n        return outer.words()\n",
    "outer": "def words():\n    import inner\n    return inner.WORDS\n",
    "inner": "WORDS = ['a']\n",
    "rules": "import deep\n\n\ndef keep(row):\n    return deep.LIMIT\n",
    "deep": "LIMIT = 1\n",
    "elsewhere": "TABLE = {'a': 1}\n",
    "by_name": "import importlib\n\n\ndef any_of(name):\n    return importlib.import_module(name)\n",
}
"""Modules of a project; `elsewhere` is imported by none of the others."""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    for name in FILES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in FILES}
    for name in FILES:
        sys.modules.pop(name, None)


def names(*steps: Any) -> set[str]:
    return set(carried(steps).modules) & set(FILES)


def test_a_step_of_potstills_own_takes_none(modules: dict[str, Any]) -> None:
    assert carried([HardLabel(LoadRows([{"a": 1}]), student="model")]).modules == {}


def test_a_step_takes_what_its_code_imports_wherever_it_does(modules: dict[str, Any]) -> None:
    assert names(modules["steps_of_mine"].Mine()) == {"steps_of_mine", "outer", "inner"}


@pytest.mark.parametrize("wrap", [lambda rule: rule, lambda rule: [rule], lambda rule: {"a": (rule,)}])
def test_what_a_parameter_holds_is_taken_too(modules: dict[str, Any], wrap: Any) -> None:
    mine = modules["steps_of_mine"].Mine(rule=wrap(modules["rules"].keep))
    assert names(mine) == {"steps_of_mine", "outer", "inner", "rules", "deep"}


def test_values_are_those_of_now(modules: dict[str, Any]) -> None:
    modules["inner"].WORDS.append("b")
    assert "WORDS" in carried([modules["steps_of_mine"].Mine()]).modules["inner"].variables


def test_code_that_imports_by_a_computed_name_takes_all(modules: dict[str, Any], tmp_path: Path) -> None:
    """In a process of its own, which has imported no tests."""
    program = f"import {', '.join(FILES)}\nfrom potstill.engine.running.carried import carried\n"
    program += "print(*carried([steps_of_mine.Mine(rule=by_name.any_of)]).modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(FILES)


def test_a_package_is_no_way_to_modules_below_it_that_nobody_names(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "over").mkdir()
    for name in ("__init__", "two", "three"):
        (tmp_path / "over" / f"{name}.py").touch()
    (tmp_path / "over" / "one.py").write_text("import over.two\n\n\ndef keep(row):\n    return over.two\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    one, *_ = (importlib.import_module(f"over.{name}") for name in ("one", "three"))
    actual = carried([Map(LoadRows([{"a": 1}]), one.keep)]).modules
    assert {name for name in actual if name.startswith("over")} == {"over", "over.one", "over.two"}
