"""Edits of a user's code are noticed where they can change what it does, and only there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from potstill.engine import encoding
from potstill.engine.code import class_code, function_code, is_first_party

MODULE = '''
import functools
import math
import re
from dataclasses import dataclass
from enum import Enum

import potstill_test_helper
from potstill import Rows, Step
from potstill.teachers.protocol import Sampling

LIMIT = 3
TABLE = {"a": [1, 2]}
PATTERN = re.compile("x+")
SAMPLING = Sampling(temperature=0.5)


@dataclass(frozen=True)
class Rule:
    size: int

    def apply(self, text):
        return text[: self.size]


class Mode(Enum):
    LOUD = 1


class Plain:
    def __init__(self, number):
        self.number = number


@dataclass(frozen=True)
class Kept:
    number: int

    def keeps(self, number):
        return number > self.number


@functools.lru_cache
def remembered(kept):
    return not kept


RULE = Rule(4)
potstill = Kept(7).keeps
AMONG = {5, 6}.__contains__
PLAIN = Plain(1)


def helper(text, times=2):
    """Say it again."""
    return text * times


def reading(name):
    return globals()[name]


class Base(Step):
    def tidy(self, text):
        return text.strip()


class Mine(Base):
    """Mine."""

    rows: Rows
    factor = 1

    def run(self, rows):
        # a comment
        made = []
        for text in rows:
            try:
                made.append(helper(text))
                made.append(RULE.apply(text))
            except ValueError:
                return made
        return [self.tidy(potstill_test_helper.deep(text)) for text in made if LIMIT and TABLE and PATTERN.match(text)
                and SAMPLING and Mode.LOUD and remembered(potstill(1)) and AMONG(2)]


class Opaque(Step):
    def run(self):
        return [{"n": PLAIN.number}]


class Dynamic(Step):
    def run(self):
        return reading("LIMIT")


class Late(Step):
    def run(self):
        from potstill_test_helper import deep

        return deep("x")


def key(text):
    return len(text)
'''
HELPER = """
from functools import wraps

UNIT = 1


def logged(function):
    @wraps(function)
    def inner(*args):
        return function(*args)

    return inner


@logged
def deep(text):
    return text + str(UNIT)


def unused(text):
    return text
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Write both modules with replacements, and import them."""
    monkeypatch.syspath_prepend(tmp_path)
    names = ("potstill_test_helper", "potstill_test_pipeline")

    def load(*replacements: tuple[str, str]) -> Any:
        texts = dict(zip(names, (HELPER, MODULE), strict=True))
        for old, new in replacements:
            assert sum(text.count(old) for text in texts.values()) == 1, old
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        for name, text in texts.items():
            sys.modules.pop(name, None)
            (tmp_path / f"{name}.py").write_text(text)
            for cached in tmp_path.rglob("*.pyc"):
                cached.unlink()
        importlib.invalidate_caches()
        return [importlib.import_module(name) for name in names][1]

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ('{"a": [1, 2]}', '{"a": [1, 3]}'),
        ('re.compile("x+")', 're.compile("x*")'),
        ('re.compile("x+")', 're.compile("x+", re.I)'),
        ("temperature=0.5", "temperature=0.6"),
        ("Rule(4)", "Rule(5)"),
        ("text[: self.size]", "text[self.size :]"),
        ("LOUD = 1", "LOUD = 2"),
        ("times=2", "times=3"),
        ("text * times", "times * text"),
        ("text.strip()", "text.lstrip()"),
        ("factor = 1", "factor = 2"),
        ("except ValueError", "except TypeError"),
        ("return made\n        return", "return []\n        return"),
        ("Kept(7)", "Kept(8)"),
        ("return not kept", "return kept"),
        ("{5, 6}", "{5, 7}"),
        ("UNIT = 1", "UNIT = 2"),
        ("return text + str(UNIT)", "return str(UNIT) + text"),
        ("return function(*args)", "return function(*args[:1])"),
    ],
)
def test_an_edit_that_can_change_the_result_changes_the_code(module: Any, old: str, new: str) -> None:
    assert class_code(module().Mine) != class_code(module((old, new)).Mine)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another\n        # and one more"),
        ('"""Say it again."""', '"""Repeat."""'),
        ('"""Mine."""', ""),
        ("def helper(", "\n\n\ndef helper("),
        ("def key(text):\n    return len(text)", ""),
        ("def unused(text):\n    return text", "def unused(text):\n    return -text"),
        ("import math\n", ""),
    ],
)
def test_an_edit_that_can_not_is_no_change(module: Any, old: str, new: str) -> None:
    assert class_code(module().Mine) == class_code(module((old, new)).Mine)


def test_what_a_try_covers_counts_even_if_the_instructions_are_the_same(tmp_path: Path) -> None:
    inside = (
        "def f(a, b):\n    try:\n        a()\n        b()\n        return 1\n    except ValueError:\n        return 2\n"
    )
    outside = "def f(a, b):\n    try:\n        a()\n    except ValueError:\n        return 2\n    b()\n    return 1\n"
    codes = []
    for text in (inside, outside):
        space: dict[str, Any] = {"__name__": "m"}
        exec(compile(text, str(tmp_path / "m.py"), "exec"), space)
        codes.append(function_code(space["f"]))
    assert codes[0] != codes[1]


def test_the_parts_are_named(module: Any) -> None:
    parts = class_code(module().Mine)
    code = ("Mine.run", "Base.tidy", "helper", "Rule.apply", "deep")
    values = (f"value of {name}" for name in ("LIMIT", "TABLE", "RULE", "UNIT", "Mine.factor"))
    assert {*code, *values} <= parts.keys()


@pytest.mark.parametrize(("old", "new"), [("Plain(1)", "Plain(2)"), ("self.number = number", "self.number = -number")])
def test_a_value_without_canonical_form_counts_with_the_source_of_its_module(module: Any, old: str, new: str) -> None:
    assert class_code(module().Opaque) != class_code(module((old, new)).Opaque)
    assert class_code(module().Opaque) == class_code(module(("# a comment", "# another")).Opaque)


@pytest.mark.parametrize("cls", ["Dynamic", "Late"])
def test_where_names_are_looked_up_at_run_time_the_whole_source_counts(module: Any, cls: str) -> None:
    before = class_code(getattr(module(), cls))
    assert class_code(getattr(module(("UNIT = 1", "UNIT = 2")), cls)) != before
    assert class_code(getattr(module(("# a comment", "# another")), cls)) == before


def test_functions_and_classes_given_as_parameters_count_with_their_code(module: Any) -> None:
    def digests(*replacements: tuple[str, str]) -> list[str]:
        loaded = module(*replacements)
        return [encoding.digest(value) for value in (loaded.helper, loaded.Rule, loaded.Rule(1), loaded.key)]

    plain = digests()
    assert digests(("text * times", "times * text"))[0] != plain[0]
    edited = digests(("text[: self.size]", "text[self.size :]"))
    assert (edited[1] != plain[1], edited[2] != plain[2], edited[3] != plain[3]) == (True, True, False)


def test_the_code_of_potstill_and_of_libraries_is_not_followed() -> None:
    import datasets

    from potstill.steps.rows.split import Split

    assert class_code(Split) == {}
    assert class_code(datasets.Dataset) == {}
    assert not is_first_party(datasets.__file__)
    assert is_first_party(__file__)
    assert is_first_party(encoding.__file__.replace("/potstill/", "/potstill_of_mine/"))
