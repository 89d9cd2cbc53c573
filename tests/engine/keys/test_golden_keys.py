"""The keys of all that is built in stay what they are, whatever becomes of the code that they don't cover."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import golden
import own_steps
import potstill
from golden import differences, kept, public_methods, settings_classes, teacher_classes, trainer_classes
from golden_recipes import RECIPES
from potstill import steps, trainers
from potstill.engine.code import class_code
from potstill.engine.code.origins import MOVED, is_first_party, public_name
from potstill.engine.encoding import digest, encode
from potstill.text import ngrams

NO_PARAMETER = set(
    """
    Anything BadInput Context Estimate File Metrics Model Output Pipeline PotstillError RequestError Rows RowsOutput Run
    Step StepFailed
    """.split()
)
"""Public names that stand for no step, teacher or settings."""


def test_every_key_is_the_one_that_was_kept(tmp_path: Path) -> None:
    actual = golden.Table(tmp_path).all()
    assert differences(kept(), actual) == [], "if that is meant: cd tests/support && python -m golden --write"


def test_a_key_that_changed_is_missing_or_is_new_is_named() -> None:
    old = {"steps": {"Take": {"": "1", "count: 7": "2"}, "Skip": {"": "3"}}}
    new = {"steps": {"Take": {"": "1", "count: 7": "9"}, "Sort": {"": "4"}}}
    assert differences(old, new) == [
        "steps Skip () is missing",
        "steps Sort () is new",
        "steps Take (count: 7) changed",
    ]


def test_the_table_has_every_public_step() -> None:
    assert kept()["steps"].keys() == set(steps.__all__)


def test_the_table_has_every_public_trainer_and_method() -> None:
    assert kept()["trainers"].keys() == {cls.__name__ for cls in trainer_classes()}
    assert kept()["methods"].keys() == public_methods() == set(RECIPES)
    settings = {"LoRA", "QLoRA"}
    assert set(trainers.__all__) <= kept()["trainers"].keys() | kept()["methods"].keys() | settings


def test_the_table_has_every_public_teacher_and_all_settings() -> None:
    assert kept()["teachers"].keys() == {cls.__name__ for cls in teacher_classes()}
    assert kept()["settings"].keys() == {cls.__name__ for cls in settings_classes()}
    within = {"Structured"}
    known = kept()["teachers"].keys() | kept()["settings"].keys() | within | NO_PARAMETER
    assert set(potstill.__all__) <= known


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> FunctionType:
    """A function of Potstill's that lies in another module than before."""
    module = ModuleType("potstill.words.spelling")
    module.__file__ = ngrams.__file__
    exec(compile(Path(ngrams.__file__).read_text(), ngrams.__file__, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.plain


def test_a_function_given_as_a_parameter_keeps_its_name_in_keys_when_its_module_moves(
    moved: FunctionType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert digest(moved) != digest(ngrams.plain)
    monkeypatch.setitem(MOVED, "potstill.words.spelling", "potstill.text.ngrams")
    assert encode(moved) == encode(ngrams.plain) == ["name", "potstill.text.ngrams.plain"]
    assert public_name(ngrams.plain) == "potstill.text.ngrams.plain"


def test_code_of_the_users_own_keeps_its_digest_when_a_module_that_it_names_moves(
    moved: FunctionType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = class_code(own_steps.Marked)
    monkeypatch.setattr(own_steps, "ngrams", sys.modules["potstill.words.spelling"])
    assert class_code(own_steps.Marked) != before
    monkeypatch.setitem(MOVED, "potstill.words.spelling", "potstill.text.ngrams")
    assert class_code(own_steps.Marked) == before


def test_every_module_that_is_said_to_have_moved_is_there() -> None:
    assert [name for name in MOVED if find_spec(name) is None] == []


def test_code_is_potstills_own_wherever_in_the_package_it_lies() -> None:
    inside = source() / "potstill"
    assert not any(is_first_party(str(inside / name)) for name in ("step.py", "a/room/that/is/new.py"))
    assert is_first_party(str(inside.parent / "pipe.py"))


def source() -> Path:
    """Return the folder that the package lies in."""
    return Path(potstill.__file__).resolve().parents[1]
