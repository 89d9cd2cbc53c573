"""Whatever a step's code reaches is in its key, or refused by name; each case is a step whose result shows it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from potstill.code import class_code
from potstill.errors import RequestError

HERE = "import pathlib\nTEXT = pathlib.Path(__file__).with_name('data.txt').read_text()\n"
PICK = "(1 if 'OLD' == 'O' 'LD' else 2)"
CASES = {
    "tensor": f"import torch\nT = torch.tensor([{PICK}]) => int(T[0])",
    "weights of a module": f"import torch\nM = torch.nn.Linear(1, 1)\nM.weight.data.fill_({PICK})\nM.bias.data.fill_(0)"
                           " => float(M.weight)",
    "data set": "import datasets\nD = datasets.Dataset.from_dict({'a': ['OLD']}) => D[0]['a']",
    "tokenizer": "import tokenizers\nT = tokenizers.Tokenizer(tokenizers.models.WordLevel({'OLD': 0}))"
                 " => T.to_str()",
    "variable set in another module": "import helper\nhelper.WORD = 'OLD' => helper.f()",
    "accessor": "import pandas as pd\n@pd.api.extensions.register_series_accessor('loud')\nclass Loud:\n"
                "    def __init__(self, s): pass\n    def f(self): return 'OLD'\n => pd.Series([1]).loud.f()",
    "codec": "import codecs\ndef find(name):\n    if name == 'loudly':\n        return codecs.CodecInfo(None,"
             " lambda s, e='': ('OLD', 1), name=name)\ncodecs.register(find) => codecs.decode('x', 'loudly')",
    "attrs": "import attr\n@attr.define\nclass C:\n    w: str = 'OLD'\n => C().w",
    "factory of attrs": "import attr\n@attr.s\nclass C:\n    w = attr.ib(factory=lambda: 'OLD')\n => C().w",
    "made dataclass": "import dataclasses\nC = dataclasses.make_dataclass('C', [('w', str, 'OLD')]) => C().w",
    "made pydantic model": "import pydantic\nC = pydantic.create_model('C', w=(str, 'OLD')) => C().w",
    "literal type": "import typing\nC = typing.Literal['OLD'] => typing.get_args(C)[0]",
    "flag": f"from enum import Flag\nclass C(Flag):\n    A = {PICK}\n => C.A.value",
    "non-member": "from enum import Enum, nonmember\nclass C(Enum):\n    A = 1\n    _T = nonmember('OLD')\n => C._T",
    "iterator": "import itertools\nI = itertools.chain(['OLD']) => list(I)[0]",
    "counter": "import collections\nC = collections.Counter(['OLD']) => list(C)[0]",
    "stream in memory": "import io\nF = io.StringIO('OLD') => F.getvalue()",
    "generator of NumPy": f"import numpy as np\nR = np.random.default_rng({PICK}) => R.random()",
    "seed of NumPy": f"import numpy as np\nnp.random.seed({PICK}) => np.random.rand()",
    "masked array": f"import numpy as np\nA = np.ma.array([1, 2], mask=[0, {PICK} - 1]) => str(A)",
    "thread's own": "import threading\nL = threading.local()\nL.w = 'OLD' => L.w",
    "environment": "import os\nos.environ['POTSTILL_TEST_WORD'] = 'OLD' => os.environ['POTSTILL_TEST_WORD']",
    "context of decimals": f"import decimal\ndecimal.getcontext().prec = {PICK} => str(decimal.Decimal(1) / 3)",
    "subclass of int": f"class C(int): pass\nO = C({PICK}) => O + 0",
    "exception": "O = ValueError('OLD') => str(O)",
    "deep list": "D = 'OLD'\nfor _ in range(150): D = [D]\n => str(D)",
    "long chain of objects": "class N:\n    def __init__(self, n): self.n = n\nL = N('OLD')\nO = L\n"
                             "for _ in range(3000): O = N(O)\n => L.n",
    "text of the source": "import inspect\ndef g():\n    # OLD\n    return 1\n => inspect.getsource(g)",
    "lazy module that reads data": "DATA => __import__('importlib').import_module('helper').TEXT",
    "circular imports": "import helper => helper.back()",
}  # fmt: skip
HELPER = "WORD = 'x'\ndef f():\n    return WORD\ndef back():\n    import main_of_test\n    return main_of_test.word()\n"


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Any]]:
    """Return the class of a step that returns what the expression of a case gives, with a word for OLD."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = ("main_of_test", "helper")

    def load(case: str, word: str) -> Any:
        lines, _, expression = case.replace("DATA", "").rpartition("=>")
        for name in names:
            sys.modules.pop(name, None)
        (tmp_path / "data.txt").write_text(word)
        (tmp_path / "helper.py").write_text(HERE + HELPER)
        text = f"{lines}\ndef word():\n    return 'OLD'\nfrom potstill import Step\nclass S(Step):\n"
        text = f"{text}    def run(self):\n        return [{expression}]\n"
        (tmp_path / "main_of_test.py").write_text(text.replace("OLD", word))
        importlib.invalidate_caches()
        return importlib.import_module("main_of_test").S

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_a_step_reaches_is_in_its_key(step: Callable[[str, str], Any], case: str) -> None:
    old, again, new = (class_code(step(case, word)) for word in ("OLD", "OLD", "NEW"))
    assert old == again
    assert old != new


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("import sqlite3\nC = sqlite3.connect(':memory:') => C.cursor()", "value of C holds a sqlite3.Connection"),
        ("C = (x for x in 'OLD') => next(C)", "value of C holds a builtins.generator"),
        ("C = open(__file__) => C.read()", "value of C holds a _io.TextIOWrapper"),
    ],
)
def test_what_can_not_be_seen_is_refused_by_name_with_the_remedy(
    step: Callable[[str, str], Any], case: str, kind: str
) -> None:
    with pytest.raises(RequestError, match=rf"{kind}.*make it inside run.*identity\(\)"):
        class_code(step(case, "OLD"))


def test_locks_loggers_and_sentinels_are_taken(step: Callable[[str, str], Any]) -> None:
    case = "import logging, threading\nA, B, C = threading.Lock(), logging.getLogger(__name__), object() => (A, B, C)"
    assert class_code(step(case, "OLD"))
