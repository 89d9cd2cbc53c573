"""What a module does to libraries, the interpreter or the environment at import is part of its steps' code."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from potstill.engine.code import class_code

Code = Callable[[str, str], dict[str, str]]
NAME = "code_with_actions"
STEP = """
from potstill import Step
class S(Step):
    def run(self):
        return [{"text": "word".encode("ascii", "own")}]
"""
HANDLER = "lambda error: ('OLD', error.end)"
ACTIONS = {
    "a statement": f"codecs.register_error('own', {HANDLER})",
    "kept in a variable": f"nothing = codecs.register_error('own', {HANDLER})",
    "in a condition": f"True and codecs.register_error('own', {HANDLER})",
    "in a comprehension": f"[codecs.register_error(name, {HANDLER}) for name in ['own']]",
    "in a lambda": f"list(map(lambda name: codecs.register_error(name, {HANDLER}), ['own']))",
    "in a walrus": f"if (nothing := codecs.register_error('own', {HANDLER})) is None:\n    pass",
    "by getattr": f"getattr(codecs, 'register_error')('own', {HANDLER})",
    "by another name": f"enter = codecs.register_error\nenter('own', {HANDLER})",
    "by a name that is deleted": f"enter = codecs.register_error\nenter('own', {HANDLER})\ndel enter",
    "by a comprehension's variable": f"[enter('own', {HANDLER}) for enter in [codecs.register_error]]\n"
    "if not codecs:\n    enter = None",
    "in a block": f"with open(__file__) as file:\n    codecs.register_error('own', {HANDLER})",
    "in a class's body": f"class Setup:\n    codecs.register_error('own', {HANDLER})",
    "in a function": f"def enter(by):\n    codecs.register_error('own', by)\nenter({HANDLER})",
    "in a function's function": f"def enter(name):\n    def inner(by):\n        codecs.register_error(name, by)\n"
    f"    return inner\nenter('own')({HANDLER})",
    "by a decorator": "def enter(by):\n    codecs.register_error('own', by)\n    return by\n"
    "@enter\ndef handle(error):\n    return ('OLD', error.end)",
    "when an object is made": "class Entry:\n    def __init__(self):\n"
    f"        codecs.register_error('own', {HANDLER})\n"
    "entry = Entry()",
    "in a method": f"class Entry:\n    def go(self):\n        codecs.register_error('own', {HANDLER})\n"
    "entry = Entry()\nentry.go()",
    "in a method of a new object": f"class Entry:\n    def go(self):\n        codecs.register_error('own', {HANDLER})\n"
    "Entry().go()",
    "in a method of what a method gives": "class Entry:\n    def get(self):\n        return self\n    def go(self):\n"
    f"        codecs.register_error('own', {HANDLER})\nEntry().get().go()",
    "when a class is made": "class Base:\n    def __init_subclass__(cls):\n"
    "        codecs.register_error('own', cls.say)\n"
    "class Entry(Base):\n    @staticmethod\n    def say(error):\n        return ('OLD', error.end)",
    "a variable of the environment": "import os\nos.environ.update(WORD='OLD')",
    "the working folder": "import os\n'OLD' and os.chdir('/')",
    "a module's attribute": "import sys\nsys.word = 'OLD'",
    "an attribute of a library's class": "from pathlib import Path\nPath.word = 'OLD'\ndel Path.word",
    "an attribute set in a loop": "from pathlib import Path\nfor name in ['word']:\n    setattr(Path, name, 'OLD')",
    "a library's table": "from json import decoder\ntable = decoder.BACKSLASH\ntable['word'] = 'OLD'",
    "what warnings do": "import warnings\nwarnings.filterwarnings('ignore', message='OLD')",
    "what warnings do, by another name": "from warnings import simplefilter as treat\nword = 'OLD'\n"
    "treat('error' if word == 'NEW' else 'ignore')",
    "in a list": f"kept = [codecs.register_error('own', {HANDLER})]",
    "in a test": f"if codecs.register_error('own', {HANDLER}) is None:\n    pass",
    "in an assertion": f"assert codecs.register_error('own', {HANDLER}) is None",
    "in a loop's head": f"for nothing in [codecs.register_error('own', {HANDLER})]:\n    pass",
    "as a default": f"def enter(by=codecs.register_error('own', {HANDLER})):\n    return by",
    "kept in a function": f"def enter():\n    nothing = codecs.register_error('own', {HANDLER})\nenter()",
    "returned by a function": f"def enter():\n    return codecs.register_error('own', {HANDLER})\nkept = enter()",
    "kept in a class": f"class Setup:\n    kept = [codecs.register_error('own', {HANDLER})]",
    "by a partial": f"import functools\nenter = functools.partial(codecs.register_error, 'own', {HANDLER})\nenter()",
    "by a function that is handed on": "def enter(by):\n    codecs.register_error('own', by)\n"
    f"kept = list(map(enter, [{HANDLER}]))",
    "by a context": "class Entry:\n    def __enter__(self):\n"
    f"        codecs.register_error('own', {HANDLER})\n    def __exit__(self, *error):\n        pass\n"
    "with Entry():\n    pass",
    "by an operator": f"class Entry:\n    def __add__(self, other):\n        codecs.register_error('own', {HANDLER})\n"
    "kept = Entry() + 1",
    "by a property": "class Entry:\n    @property\n    def word(self):\n"
    f"        codecs.register_error('own', {HANDLER})\nkept = Entry().word",
    "by a member that is named": "class Entry:\n    def __set_name__(self, owner, name):\n"
    f"        codecs.register_error('own', {HANDLER})\nclass Setup:\n    entry = Entry()",
    "by a metaclass's namespace": "class Meta(type):\n    @classmethod\n    def __prepare__(cls, name, bases):\n"
    f"        codecs.register_error('own', {HANDLER})\n        return {{}}\nclass Entry(metaclass=Meta):\n    pass",
    "by a metaclass's call": "class Meta(type):\n    def __call__(cls):\n"
    f"        codecs.register_error('own', {HANDLER})\nclass Entry(metaclass=Meta):\n    pass\nkept = Entry()",
    "a setting that gives the old one": "import csv\nold = csv.field_size_limit(ord('OLD'[0]) * 10000)\n"
    "csv.field_size_limit(131072)",
    "a context that is asked for": "import decimal\nown = decimal.getcontext()\nown.prec = ord('OLD'[0])",
    "a class entered in another": "import collections.abc\nclass Own:\n    word = 'OLD'\n"
    "collections.abc.Sized.register(Own)",
}
NOTHING = {
    "a constant": "WORD = 'OLD'",
    "an array": "import numpy\nWORD = numpy.array(['OLD'])",
    "an object of one's own": "class Entry:\n    def __init__(self, word):\n        self.word = word\n"
    "entry = Entry('OLD')",
    "a table of one's own": "TABLE = {}\nTABLE['word'] = 'OLD'\nTABLE.update(more='OLD')",
    "a function that fills what it made": "def fill():\n    found = []\n    found.append('OLD')\n    return found\n"
    "fill()",
    "a registry of one's own": "TABLE = {}\ndef enter(function):\n    TABLE[function.__name__] = function\n"
    "    return function\n@enter\ndef other():\n    return 'OLD'",
    "a chain of methods": "class Entry:\n    def put(self, word):\n        self.word = word\n        return self\n"
    "entry = Entry().put('OLD').put('x')",
    "what has not run": "if __name__ == '__main__':\n    words = list('OLD')\n    words.append('OLD')",
    "a frame of a library's": "import pandas\nframe = pandas.DataFrame()\nframe['word'] = 'OLD'",
    "a function that is handed on": "def word(text):\n    return 'OLD'\nkept = list(map(word, 'ab'))",
    "a property of one's own": "class Entry:\n    @property\n    def word(self):\n        return 'OLD'\n"
    "kept = Entry().word",
    "a message": "print('OLD', end='')",
    "a warning": "import warnings\nwith warnings.catch_warnings(record=True):\n    warnings.warn('OLD')",
    "a logger": "import logging\nlogging.getLogger('own').setLevel('OLD'[:0] or 'INFO')",
}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    """Return the code of the step below some lines, with the word OLD or another in them."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def code(lines: str, word: str) -> dict[str, str]:
        sys.modules.pop(NAME, None)
        (tmp_path / f"{NAME}.py").write_text(f"import codecs\n{lines}\n{STEP}".replace("OLD", word))
        importlib.invalidate_caches()
        return class_code(importlib.import_module(NAME).S)

    limit = csv.field_size_limit(131_072)
    yield code
    csv.field_size_limit(limit)
    sys.modules.pop(NAME, None)
    sys.__dict__.pop("word", None)


@pytest.mark.parametrize("lines", ACTIONS.values(), ids=ACTIONS.keys())
def test_what_a_module_does_to_others_is_code(parts: Code, lines: str) -> None:
    assert parts(lines, "OLD") == parts(lines, "OLD") != parts(lines, "NEW")


@pytest.mark.parametrize("lines", NOTHING.values(), ids=NOTHING.keys())
def test_what_a_module_keeps_to_itself_is_no_code_of_other_steps(parts: Code, lines: str) -> None:
    assert parts(lines, "OLD") == parts(lines, "NEW")
