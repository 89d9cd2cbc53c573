"""The same source has the same canonical text under every Python; what changes nothing that it does is not in it."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from potstill.engine.code import syntax

SOURCE = '''
"""A module."""
import os
from typing import Optional as Maybe


class Rule(dict, metaclass=type):
    """A rule."""

    size: int = 3
    """How large."""

    @property
    def name(self) -> str:
        """Return it."""
        return f"{self.size!r:>{10}} and {self.size=}" "more" f"" + "x"


async def apply(a, /, b: int = 1, *c, d=(1, 2.5, 1j, b"x", None, ...), **e) -> Maybe[int]:
    first: int = a
    async with first as (x, *y):
        pass
    try:
        return [n async for n in b if not n] or {**e, "k": lambda q: -q}
    except* ValueError as error:
        raise KeyError from error
    finally:
        del first
    match a:
        case {"x": [1, *_], **rest} if rest:
            yield (z := 1)
        case Rule(size=3) | None:
            global G


if __name__ == "__main__":
    apply(1)
'''
MINORS = ("11", "12", "13")
SCRIPT = """
import ast, sys
sys.path.insert(0, sys.argv[1])
import syntax
print(syntax.module_text(ast.parse(sys.stdin.read())))
"""


def interpreter(minor: str) -> str:
    """Return the path of a Python 3.`minor`, or nothing if there is none."""
    known = [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))]
    return next(iter(known), shutil.which(f"python3.{minor}") or "")


def text(source: str) -> str:
    return syntax.module_text(ast.parse(source))


def test_the_text_is_the_same_under_every_version_of_python() -> None:
    texts = {}
    for minor in filter(interpreter, MINORS):
        command = [interpreter(minor), "-I", "-c", SCRIPT, str(Path(syntax.__file__).parent)]
        done = subprocess.run(command, input=SOURCE, capture_output=True, text=True, cwd="/")
        if done.returncode == 0:
            texts[minor] = done.stdout.strip()
    if len(texts) < 2:
        pytest.skip("only one version of Python 3.11 or newer is installed here")
    assert set(texts.values()) == {text(SOURCE)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A rule."""', '"""Another."""'),
        ('    """How large."""\n', ""),
        ("    apply(1)", "    apply(2)"),
        ("first: int = a", "first: str = a"),
        ("b: int = 1", "b: str = 1"),
        ("-> Maybe[int]", ""),
        ("\n\n\nclass", "\n# a comment\n\n\n\nclass"),
        ('"more" f""', '"mo" "re"'),
    ],
)
def test_what_does_nothing_is_not_in_it(old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert text(SOURCE.replace(old, new)) == text(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size: int = 3", "size: str = 3"),
        ("size: int = 3", "size: int = 3.0"),
        ("!r", "!s"),
        ("1j", "2j"),
        ("-q", "+q"),
        ("Rule(size=3) | None", "Rule(size=4) | None"),
        ("*c", "*cc"),
        ("async with", "with"),
        ('__name__ == "__main__"', '__name__ != "__main__"'),
        ('if __name__ == "__main__"', 'if os.__name__ == "__main__"'),
    ],
)
def test_what_does_something_is(old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert text(SOURCE.replace(old, new)) != text(SOURCE)
