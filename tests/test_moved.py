"""Modules that moved are imported by their old names for one release, with a warning; Potstill uses none of these."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from potstill.moved import MOVED, former, namesake

ROOT = Path(__file__).parents[1]
LIGHT = (
    "potstill.store",
    "potstill.chat",
    "potstill.keys",
    "potstill.code.origins",
    "potstill.methods.course",
    "potstill.steps.bases.rows",
    "potstill.arrow.values",
    "potstill.values",
    "potstill.teachers.budget",
)
NAME = re.compile(r"(?<![\w/.-])potstill(?:\.[A-Za-z_]\w*)+")
LOGGERS = ("potstill.step.", "potstill.process.")
ALLOWED = {
    "src/potstill/moved.py",
    "src/potstill/engine/code/classes.py",
    "src/potstill/engine/code/inert.py",
    "tests/test_moved.py",
    "CHANGELOG.md",
}
"""Files that name old places: what keys call them, and what is tested here."""


@pytest.mark.parametrize("old", LIGHT)
def test_an_old_name_is_the_same_module_and_says_where_it_is_now(old: str) -> None:
    new = {before: now for now, before in reversed(MOVED.items())}[old]  # parts of a module that was split stand last
    sys.modules.pop(old, None)
    with warnings.catch_warnings(action="ignore"):
        importlib.import_module(old.rpartition(".")[0])
    with pytest.warns(DeprecationWarning, match=f"{re.escape(old)} has moved to {re.escape(new)};"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(new)
    assert module.__name__ == module.__spec__.name == new


def test_old_names_work_in_every_form_of_import() -> None:
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import potstill.store\n"
        "from potstill import chat, rows\n"
        "from potstill.models import model_identity\n"
        "from potstill.metrics import wilson\n"
        "from potstill.teachers.vllm import VLLM\n"
        "from potstill.steps.bases.rows import RowsStep\n"
        "from potstill.methods import Compress\n"
        "from potstill import methods\n"
        "import potstill.recipes\n"
        "assert methods is potstill.recipes and VLLM is potstill.VLLM\n"
        "from potstill.engine.store import artifacts\n"
        "assert potstill.store is artifacts and potstill.store.Store is artifacts.Store\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_warning_names_the_line_that_imports(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text("import potstill\nimport potstill.store\nfrom potstill.models import model_identity\n")
    done = subprocess.run([sys.executable, "-W", "default", str(file)], capture_output=True, text=True, check=True)
    assert re.findall(r"old\.py:(\d): DeprecationWarning: (\S+)", done.stderr) == [
        ("2", "potstill.store"),
        ("3", "potstill.models.model_identity"),
    ]


def test_a_room_has_no_name_that_its_namesake_lacked() -> None:
    with pytest.raises(AttributeError, match=r"'potstill.models' has no attribute 'nothing'"):
        former("potstill.models", "nothing")
    with pytest.raises(ImportError), warnings.catch_warnings(action="ignore"):
        importlib.import_module("potstill.steps.bases.nothing")


def test_no_file_here_uses_an_old_name() -> None:
    gone = {old for old in MOVED.values() if not (ROOT / "src" / f"{old.replace('.', '/')}.py").is_file()}
    actual = []
    tops = [ROOT / name for name in ("src", "tests", "benchmarks", "scripts", "docs")]
    files = [path for top in tops for path in top.rglob("*") if path.suffix in (".py", ".md")]
    for path in (*ROOT.glob("*.md"), *files):
        place = path.relative_to(ROOT).as_posix()
        for name in () if place in ALLOWED else NAME.findall(path.read_text(encoding="utf-8")):
            parts = name.split(".")
            beginnings = {".".join(parts[:count]) for count in range(2, len(parts) + 1)}
            rooms = {one for one in beginnings if (ROOT / "src" / one.replace(".", "/")).is_dir()}
            if beginnings & gone - rooms and not f"{name}.".startswith(LOGGERS):
                actual.append(f"{place}: {name}")
    assert actual == []


def test_a_module_is_taken_from_a_room_without_its_namesake() -> None:
    script = (
        "import sys\n"
        "from potstill.models import chat\n"
        "from potstill.trainers.loop import trackers\n"
        "assert not {'potstill.models.identity', 'potstill.trainers.loop.loop'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_code_takes_from_a_room_is_named_in_keys_as_of_the_module_that_had_its_name() -> None:
    from potstill import metrics
    from potstill.metrics import answers

    assert namesake(metrics, "wilson") is answers
    assert namesake(metrics, "answers") is namesake(metrics, "__name__") is metrics
    assert namesake(answers, "nothing") is answers
