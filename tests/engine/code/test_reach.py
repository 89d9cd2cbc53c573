"""Whatever a step's code reaches is in its key, or refused by name; each case is a step whose result shows it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NewType

import pytest

from potstill.engine.code import class_code, object_code
from potstill.errors import RequestError

HERE = "import pathlib\nTEXT = pathlib.Path(__file__).with_name('data.txt').read_text()\n"
PICK = "(1 if 'OLD' == 'O' 'LD' else 2)"
CASES = {
    "tensor": f"import torch\nT = torch.tensor([{PICK}]) => int(T[0])",
    "weights of a module": f"import torch\nM = torch.nn.Linear(1, 1)\nM.weight.data.fill_({PICK})\nM.bias.data.fill_(0)"
    " => float(M.weight)",
    "data set": "import datasets\nD = datasets.Dataset.from_dict({'a': ['OLD']}) => D[0]['a']",
    "tokenizer": "import tokenizers\nT = tokenizers.Tokenizer(tokenizers.models.WordLevel({'OLD': 0})) => T.to_str()",
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
    "target of a thread": "import threading\nT = threading.Thread(target=print, args=('OLD',)) => T._args[0]",
    "object of a kind of thread": "import threading\nclass C(threading.Thread):\n    word = ''\n"
    "O = C()\nO.word = 'OLD' => O.word",
    "handler of a logger": "import logging\nclass H(logging.Handler):\n    def emit(self, record): self.w = 'OLD'\n"
    "L = logging.Logger('x')\nL.addHandler(H()) => (L.error(''), L.handlers[0].w)[1]",
    "adapter of a logger": "import logging\nL = logging.LoggerAdapter(logging.Logger('x'), {'w': 'OLD'})"
    " => L.extra['w']",
    "event": f"import threading\nE = threading.Event()\n{PICK} == 1 and E.set() => E.is_set()",
    "semaphore": f"import threading\nE = threading.Semaphore({PICK}) => E._value",
    "pool's first task": "import concurrent.futures as f\n"
    "P = f.ThreadPoolExecutor(initializer=print, initargs=('OLD',)) => P._initargs[0]",
    "context": "import contextvars\nV = contextvars.ContextVar('v')\nC = contextvars.Context()\nC.run(V.set, 'OLD')"
    " => C.run(V.get)",
    "format of bytes": "import struct\nF = struct.Struct('<i' if 'OLD' == 'O' 'LD' else '>i') => F.pack(1)",
    "comparison": "import functools\nK = functools.cmp_to_key(lambda a, b: a - b if 'OLD' == 'O' 'LD' else 0)"
    " => sorted([2, 1], key=K)",
    "match": "import re\nM = re.match('.*', 'OLD') => M[0]",
    "view of bytes": "M = memoryview(b'OLD') => bytes(M)",
    "digest": "import hashlib\nH = hashlib.sha256(b'OLD') => H.hexdigest()",
    "decoder of JSON": "import json\nD = json.JSONDecoder(object_hook=lambda found: 'OLD') => D.decode('{}')",
    "zone of one's own": "import datetime\nclass Z(datetime.tzinfo):\n    def utcoffset(self, t): return None\n"
    "    def tzname(self, t): return 'OLD'\n"
    "T = datetime.datetime(2020, 1, 1, tzinfo=Z()) => T.tzname()",
    "iterator of a range": f"I = iter(range({PICK})) => list(I)",
    "order of patterns": "class C:\n    __match_args__ = ('OLD',)\n    OLD = 1\n => C.__match_args__[0]",
    "argument of a generic base": "import typing\nclass C(dict[str, typing.Literal['OLD']]): pass\n"
    " => str(C.__orig_bases__)",
    "class entered in one's own": "import abc\nclass A(abc.ABC): pass\nclass C: w = 'OLD'\n"
    "if 'OLD' == 'O' 'LD': A.register(C)\n => issubclass(C, A)",
    "boundary of a flag": "import enum\nB = enum.KEEP if 'OLD' == 'O' 'LD' else enum.EJECT\n"
    "class F(enum.IntFlag, boundary=B):\n    A = 1\n => type(F(9)).__name__",
    "gradient of a tensor": f"import torch\nT = torch.ones(1, requires_grad={PICK} == 1) => T.requires_grad",
    "extension of Jinja": "import jinja2.ext\nclass X(jinja2.ext.Extension):\n"
    "    def preprocess(self, source, name, filename=None): return source + 'OLD'\n"
    "E = jinja2.Environment(extensions=[X]) => E.from_string('').render()",
    "type of an Arrow number": "import pyarrow as pa\nN = pa.scalar(1, pa.int8() if 'OLD' == 'O' 'LD' else pa.int64())"
    " => str(N.type)",
    "words on an Arrow field": "import pyarrow as pa\nF = pa.field('a', pa.int8(), metadata={'w': 'OLD'})"
    " => str(F.metadata)",
    "step of dates": "import pandas as pd\nD = pd.date_range('2020', periods=3, freq='D')\n"
    "if 'OLD' != 'O' 'LD': D = pd.DatetimeIndex(list(D))\n => str(D.freq)",
    "pickle that names code": "import helper, pickle\nhelper.word = lambda: 'OLD'\n"
    " => pickle.loads(b'chelper\\nword\\n.')()",
    "weak table that holds its owner": "import weakref\nclass D:\n"
    "    def __init__(self): self.s = weakref.WeakKeyDictionary()\n"
    "    def __get__(self, o, kind): return self.s.get(o)\n    def __set__(self, o, v): self.s[o] = v\n"
    "class C:\n    w = D()\nO, P = C(), C()\nO.w, P.w = 'OLD', 'x' => O.w",
    "classes entered in each other": "import abc\nclass A(abc.ABC): pass\nclass B(abc.ABC):\n    w = 'OLD'\n    a = A\n"
    "class C:\n    a = A\nA.register(B)\nA.register(C) => B.w",
    "set of a kind that holds its owner": "class C(set): pass\nclass M:\n"
    "    def __init__(self, w): self.w, self.s = w, S0\n"
    "S0 = C()\nS0 |= {M('OLD'), M('x')} => sorted(m.w for m in S0)[0]",
    "field of a structure": f"import ctypes\nclass C(ctypes.Structure):\n"
    f"    _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_int)]\nF = (C.x, C.y)[{PICK} - 1] => F.offset",
    "structure": f"import ctypes\nclass C(ctypes.Structure):\n    _fields_ = [('x', ctypes.c_int)]\n"
    f"O = C({PICK}) => O.x",
    "namespace of a class": "class C:\n    w = 'OLD'\nD = C.__dict__ => D['w']",
    "slot": f"class C:\n    __slots__ = ('a', 'b')\nD = (C.a, C.b)[{PICK} - 1] => D.__name__",
    "word on a logger": "import logging\nL = logging.getLogger('potstill test')\nL.w = 'OLD' => L.w",
    "note of an exception": "O = ValueError()\nO.add_note('OLD') => O.__notes__[0]",
    "cause of an exception": "O = ValueError()\nO.__cause__ = KeyError('OLD') => str(O.__cause__)",
    "exception that was handled": "try:\n    try: raise KeyError('OLD')\n    except KeyError: raise ValueError\n"
    "except ValueError as error: O = error\n => str(O.__context__)",
    "exception of one's own": "class C(Exception): pass\nO = C('OLD') => str(O)",
    "file of an error of one's own": "class C(OSError): pass\nO = C(2, 'no', 'OLD') => O.filename",
    "generator of one's own": f"import random\nclass C(random.Random): pass\nO = C({PICK}) => O.random()",
    "stream of one's own": "import io\nclass C(io.StringIO): pass\nO = C('OLD') => O.getvalue()",
    "array that can't be written": "import numpy as np\nA = np.arange(2)\nA.flags.writeable = 'OLD' == 'O' 'LD'"
    " => A.flags.writeable",
    "file that is executed": "import pathlib\nHERE = pathlib.Path(__file__).parent\ndef read():\n"
    "    return (HERE / 'script.py').read_text() => read()",
    "file in a folder that is executed": "import pathlib\nHERE = pathlib.Path(__file__).parent\ndef read():\n"
    "    return (HERE / 'tools' / 'inner.py').read_text() => read()",
    "file that is run": "import pathlib, subprocess, sys\nSCRIPT = pathlib.Path(__file__).with_name('script.py')\n"
    "def go():\n    return subprocess.run([sys.executable, SCRIPT], capture_output=True).stdout => go()",
    "deep list": "D = 'OLD'\nfor _ in range(150): D = [D]\n => str(D)",
    "long chain of objects": "class N:\n    def __init__(self, n): self.n = n\nL = N('OLD')\nO = L\n"
    "for _ in range(3000): O = N(O)\n => L.n",
    "text of the source": "import inspect\ndef g():\n    # OLD\n    return 1\n => inspect.getsource(g)",
    "lazy module that reads data": "DATA => __import__('importlib').import_module('helper').TEXT",
    "bound of a type variable": "import typing\nT = typing.TypeVar('T', bound=typing.Literal['OLD']) => T.__bound__",
    "kinds of a type variable": "import typing\nT = typing.TypeVar('T', int, typing.Literal['OLD'])"
    " => T.__constraints__",
    "new type": f"import typing\nT = typing.NewType('T', (int, str)[{PICK} - 1]) => T.__supertype__",
    "field of a class that is no dataclass": "import dataclasses\nclass C:\n    w = dataclasses.field(default='OLD')\n"
    " => C.w.default",
    "table of an enumeration": "import enum\nclass C(enum.Enum):\n    A = 1\n    __labels__ = {'A': 'OLD'}\n"
    " => C.__labels__['A']",
    "property of an enumeration": "import enum\nclass C(enum.Enum):\n    A = 1\n    @enum.property\n"
    "    def word(self): return 'OLD'\n => C.A.word",
    "private attribute of a member": "import enum\nclass C(enum.Enum):\n    def __new__(cls, v, w):\n"
    "        o = object.__new__(cls)\n        o._value_, o._word = v, w\n        return o\n    A = 1, 'OLD'\n"
    " => C.A._word",
    "cache of one's own": "class Memo:\n    def __init__(self, f): self.__wrapped__ = f\n"
    "    def cache_info(self): pass\n    def __call__(self): return 'OLD'\n@Memo\ndef f(): return 'x'\n => f()",
    "attribute of a cached function": "import functools\n@functools.lru_cache\ndef f(): return 1\nf.w = 'OLD' => f.w",
    "attribute of a static method": "f = staticmethod(len)\nf.w = 'OLD' => f.w",
    "property of one's own kind": "class P(property):\n    def __get__(self, o, k=None): return 'OLD'\nclass C:\n"
    "    @P\n    def w(self): return 'x'\n => C().w",
    "cached property of one's own kind": "import functools\nclass P(functools.cached_property):\n"
    "    def __get__(self, o, k=None): return 'OLD'\nclass C:\n    @P\n    def w(self): return 'x'\n => C().w",
    "class method of one's own kind": "class P(classmethod):\n    def __get__(self, o, k=None): return 'OLD'\n"
    "class C:\n    @P\n    def w(cls): return 'x'\n => C.w",
    "partial of one's own kind": "import functools\nclass P(functools.partial):\n    def __call__(self): return 'OLD'\n"
    "f = P(print) => f()",
    "reference of one's own kind": "import weakref\nclass R(weakref.ref):\n    def get(self): return 'OLD'\n"
    "class C: pass\no = C()\nr = R(o) => r.get()",
    "what a dead reference calls": "import weakref\nclass C: pass\no = C()\nr = weakref.ref(o, lambda _: 'OLD')"
    " => r.__callback__(0)",
    "what the end of an object calls": "import weakref\nclass C: pass\no = C()\nr = weakref.finalize(o, lambda: 'OLD')"
    " => r.peek()[1]()",
    "repeated object": "import itertools\nclass C:\n    def __repr__(self): return 'x'\no = C()\no.w = 'OLD'\n"
    "I = itertools.repeat(o) => next(I).w",
    "text of a property": "class C:\n    w = property(lambda self: 1, doc='OLD')\n => C.w.__doc__",
    "value of an annotation": "W = 'OLD'\ndef f(x: W): pass\n => f.__annotations__['x']",
    "value of a method's annotation": "import inspect, typing\nW = typing.Literal['OLD']\nclass C:\n"
    "    def f(self, x: W): pass\n => str(inspect.signature(C.f))",
    "given annotation": "def f(x): pass\nf.__annotations__['x'] = 'OLD' => f.__annotations__['x']",
    "docstring by getattr": "def f(): 'OLD'\n => getattr(f, '__doc__')",
    "global by getattr": "def f(): pass\nW = 'OLD' => getattr(f, '__globals__')['W']",
    "given name of a function": "def f(): pass\nf.__name__ = 'OLD' => f.__name__",
    "given name of a class": "class C: pass\nC.__name__ = 'OLD' => C.__name__",
    "class entered in one's own by another metaclass": "import abc\nclass M(abc.ABCMeta): pass\n"
    "class A(metaclass=M): pass\nclass C: pass\nif 'OLD' == 'O' 'LD': A.register(C)\n => issubclass(C, A)",
    "method that later Pythons write": "class C:\n    def __replace__(self): return 'OLD'\n => C().__replace__()",
    "modules by getattr": "import helper, sys\nhelper.WORD = 'OLD' => getattr(sys, 'modules')['helper'].f()",
    "modules by another name": "import helper\nfrom sys import modules\nhelper.WORD = 'OLD' => modules['helper'].f()",
    "modules of the interpreter's variables": "import helper, sys\nhelper.WORD = 'OLD'"
    " => vars(sys)['modules']['helper'].f()",
    "told by a frame of one's own kind": "import pandas as pd\nclass F(pd.DataFrame): _metadata = ['word']\n"
    "D = F()\nD.word = 'OLD' => D.word",
    "attribute of a series": "import pandas as pd\nT = pd.Series([1])\nT.attrs['w'] = 'OLD' => T.attrs['w']",
    "mock": "from unittest.mock import MagicMock\nM = MagicMock(return_value='OLD') => M()",
    "module that a function says it is of": "def f(): pass\nf.__module__ = 'OLD' => f.__module__",
    "module that a class says it is of": "class C: __module__ = 'OLD'\n => str(C)",
    "module of a class, read": "import helper\nclass C: pass\nif 'OLD' == 'O' 'LD': C.__module__ = 'helper'\n"
    " => C.__module__",
    "signature of a class": "import inspect\nclass C: pass\n"
    "C.__signature__ = inspect.Signature(return_annotation='OLD') => str(inspect.signature(C))",
    "computed docstring": "W = 'OLD'\ndef f(): pass\nf.__doc__ = W * 2 => f.__doc__",
    "mapped array": "import numpy as np, pathlib\nP = pathlib.Path(__file__).with_name('a.npy')\n"
    f"np.save(P, [{PICK}])\nA = np.load(P, mmap_mode='r') => int(A[0])",
    "memory order": "import numpy as np\nA = np.zeros((2, 2), order='F' if 'OLD' == 'O' 'LD' else 'C') => A.strides",
    "memory order of a tensor": "import torch\nA = torch.zeros(2, 2)\nif 'OLD' == 'O' 'LD': A = A.T\n => A.stride()",
    "result in a cache": "import functools\nW = 'OLD'\n@functools.cache\ndef f(x, **k): return W\nf(1, k=2)\nW = 'x'"
    " => f(1, k=2)",
    "result in a bounded cache": "import functools\nW = 'OLD'\n@functools.lru_cache\ndef f(): return W\nf()\nW = 'x'"
    " => f()",
    "table behind a cache": "import functools\n@functools.lru_cache\ndef table(): return {}\ntable()['a'] = 'OLD'"
    " => table()['a']",
    "result that holds its cache": "import functools\n@functools.cache\ndef f(): return (f, 'OLD')\nf() => f()[1]",
    "circular imports": "import helper => helper.back()",
}
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
        (tmp_path / "tools").mkdir(exist_ok=True)
        for script in ("script.py", "tools/inner.py"):
            (tmp_path / script).write_text(f"print('{word}')")
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
        ("def f(): yield 'OLD'\nC = f() => next(C)", "value of C holds a builtins.generator"),
        ("import io\nclass F(io.TextIOWrapper): pass\nC = F(io.BytesIO()) => C.read()", "value of C holds a .*F,"),
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


def test_a_new_type_is_the_same_whatever_the_pipelines_file_is_called() -> None:
    types = [NewType("Number", int), NewType("Number", int)]
    for result, name in zip(types, ("__main__", "__mp_main__"), strict=True):
        result.__module__ = name
    assert object_code(types[0]) == object_code(types[1])


@pytest.mark.parametrize(
    "case",
    [
        "import datasets\nD = datasets.Dataset.from_dict({'a': [1, 2, OLD]}).select(range(2)) => D[0]",
        "import pyarrow as pa\nT = pa.table({'a': [1, 2, OLD]}).slice(0, 2) => T",
        "import numpy as np\n@np.vectorize\ndef f(x):\n    '''OLD'''\n    return x\n => f(1)",
        "import pathlib\nHERE = pathlib.Path(__file__)\ndef other(): return 'OLD'\n => HERE.name",
        "# OLD\nclass C: w = 1\nD = C.__dict__ => D['w']",
        "with open(__file__) as file:\n    TEXT = 'OLD' and file.read(1)\n => file.closed",
    ],
)
def test_where_a_value_was_cut_from_and_what_it_says_of_itself_change_no_key(
    step: Callable[[str, str], Any], case: str
) -> None:
    assert class_code(step(case, "3")) == class_code(step(case, "4"))


def test_what_a_call_keeps_for_the_next_one_changes_no_key(step: Callable[[str, str], Any]) -> None:
    result = step("import numpy as np\nf = np.vectorize(lambda x: x, otypes=[object]) => f([1])[0]", "OLD")
    before = class_code(result)
    result().run()
    assert class_code(result) == before
