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


def interpreter(minor: str) -> str:
    """Return the path of a Python 3.`minor`, or nothing if there is none."""
    known = [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))]
    return next(iter(known), shutil.which(f"python3.{minor}") or "")


def test_the_key_is_the_same_under_every_version_of_python(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "helper.py").write_text(HELPER)
    (tmp_path / "main.py").write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": str(Path(potstill.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    found: dict[str, Any] = {}
    for minor in filter(interpreter, ("11", "12", "13")):
        command = [interpreter(minor), str(tmp_path / "main.py")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            found[minor] = json.loads(done.stdout)
    if len(found) < 2:
        pytest.skip("only one version of Python 3.11 or newer is installed here")
    first = next(iter(found.values()))
    assert len(first) > 50
    assert all(parts == first for parts in found.values())
