"""A step of one's own has one key under Python 3.11, 3.12 and 3.13, whatever machinery of the interpreter it uses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import potstill

HELPER = """
import functools, re, enum, collections, typing, contextlib, dataclasses, abc
from dataclasses import dataclass, field
TABLE={"b":1,"a":(2,3.5)}
P=re.compile("x+", re.I)
class Mode(enum.Enum):
    A=1
    B="x"
    @property
    def loud(self): return self.name
    def say(self): return self.value
class F(enum.Flag):
    X=1
    Y=2
class S2(enum.StrEnum):
    Q="q"
class N(typing.NamedTuple):
    x:int
    y:str="a"
    def go(self): return self.x
M=collections.namedtuple("M","a b",defaults=[1])
@dataclass(frozen=True)
class D:
    x:int=1
    y:list=field(default_factory=lambda:[1])
    def m(self): return self.x
@dataclass(slots=True, order=True)
class DS:
    x:"int"=1
class A(abc.ABC):
    @abc.abstractmethod
    def f(self): ...
class B(A):
    @functools.cached_property
    def c(self): return 1
    def f(self): return super().__init__()
    @staticmethod
    def s(): return [x for x in TABLE]
T=typing.TypeVar("T")
class G(typing.Generic[T]):
    items: typing.Optional[list[T]] = None
class Pr(typing.Protocol):
    def f(self)->int: ...
@contextlib.contextmanager
def cm(): yield 1
class OwnProperty(property): pass
class OwnCached(functools.cached_property): pass
class OwnClassMethod(classmethod): pass
class K(enum.Enum):
    A=1
    __labels__={"A":"a"}
    @enum.property
    def loud(self): return 1
class H:
    @OwnProperty
    def p(self): "Text"
    @OwnCached
    def c(self): return 1
    @OwnClassMethod
    def m(cls): return 1
    def __replace__(self): return self
Bound=typing.TypeVar("Bound", bound="H")
New=typing.NewType("New", int)
def annotated(x: New, y: typing.Optional[tuple[int, ...]], z: typing.Callable[[int], str]) -> None: pass
def read(): return annotated.__annotations__, New, Bound, K, H
annotated.__name__ = "other"
@functools.lru_cache
def cached(): return 1
@functools.singledispatch
def sd(x): return 1
@sd.register
def _(x:int): return 2
class C:
    def __init__(self): self.v=1
    @functools.partialmethod
    def pm(self): return 1
OBJ=C()
PT=functools.partial(sd, 1)
CTR=collections.Counter("aab")
class TD(typing.TypedDict):
    a:int
def use():
    read()
    with cm() as x: pass
    return TABLE,P,Mode.A,F.X,S2.Q,N(1),M,D(),DS(),B(),G,Pr,cached(),sd(1),OBJ,PT,CTR,TD, f"{x!r:>10}"
"""
MAIN = """
import json
from potstill import Step
from potstill.engine.code import class_code
from package import helper


class Mine(Step):
    word: str = "a"

    def run(self):
        return [helper.use()]


print(json.dumps(class_code(Mine)))
"""


VALUES = """
typing.Annotated
typing.Annotated[int, "m"]
potstill.Rows
potstill.File
potstill.Model
typing.Optional[int]
int | None
typing.Literal["a", 1]
typing.Callable[[int], str]
typing.ClassVar[int]
typing.Self
typing.ContextManager[int]
typing.Generator[int, None, None]
typing.Protocol
typing.NamedTuple
typing.TypedDict
typing.TypeVar("B", bound=int)
typing.NewType("N", int)
dict[str, list[int]]
collections.OrderedDict(a=1)
collections.namedtuple("M", "a b", defaults=[1])
collections.ChainMap({"a": 1})
datetime.timezone.utc
zoneinfo.ZoneInfo("UTC")
decimal.Context(prec=5)
decimal.getcontext
fractions.Fraction(1, 3)
uuid.UUID(int=5)
pathlib.Path
pathlib.Path("a/b")
ipaddress.ip_network("10.0.0.0/8")
functools.partial(int, base=2)
functools.cmp_to_key(max)
pathlib.Path.home
pathlib.Path("a").with_suffix
operator.itemgetter(1)
itertools.count(3)
types.SimpleNamespace(a=1)
array.array("i", [1])
random.Random(0)
string.Template("$a")
re.compile("a", re.I | re.M)
re.error
os.path.islink
os.path.lexists
os.path.normpath
io.open
io.StringIO
zipfile.Path
threading.Lock
contextlib.suppress(ValueError)
logging.getLogger("x")
enum.Enum("E", "A B")
hashlib.sha256
ExceptionGroup("a", [ValueError()])
""".strip().splitlines()
"""What a module may hold: much of it lies in other modules of the library, or is of another kind, in later Pythons."""
MODULES = """array, collections, contextlib, datetime, decimal, enum, fractions, functools, hashlib, io, ipaddress,
itertools, logging, operator, os, pathlib, random, re, string, threading, types, typing, uuid, zipfile, zoneinfo,
potstill""".replace("\n", " ")
HOLDING = "\n".join(
    [f"import {MODULES}", *(f"V{n} = {value}\ndef use{n}(): return V{n}" for n, value in enumerate(VALUES))]
)
READING = f"""
import json, holding
from potstill.engine.code import object_code
print(json.dumps([object_code(getattr(holding, f"use{{n}}")) for n in range({len(VALUES)})]))
"""


def interpreter(minor: str) -> str:
    """Return the path of a Python 3.`minor`, or nothing if there is none."""
    known = [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))]
    return next(iter(known), shutil.which(f"python3.{minor}") or "")


def under_each_python(folder: Path, script: str) -> dict[str, Any]:
    """Return what a script prints as JSON, by the minor version of each Python that is here and can run it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(potstill.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    printed: dict[str, Any] = {}
    for minor in filter(interpreter, ("11", "12", "13")):
        command = [interpreter(minor), str(folder / script)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            printed[minor] = json.loads(done.stdout)
    if len(printed) < 2:
        pytest.skip("only one version of Python 3.11 or newer is installed here")
    return printed


def test_the_key_is_the_same_under_every_version_of_python(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "helper.py").write_text(HELPER)
    (tmp_path / "main.py").write_text(MAIN)
    first, *others = under_each_python(tmp_path, "main.py").values()
    assert len(first) > 50
    assert all(parts == first for parts in others)


def test_what_the_standard_library_has_elsewhere_later_is_the_same_in_keys(tmp_path: Path) -> None:
    (tmp_path / "holding.py").write_text(HOLDING)
    (tmp_path / "reading.py").write_text(READING)
    first, *others = under_each_python(tmp_path, "reading.py").values()
    for parts in others:
        assert [value for value, one, same in zip(VALUES, parts, first, strict=True) if one != same] == []
