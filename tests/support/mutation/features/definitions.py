"""Places where a word is written in a function, a class or a model."""

from __future__ import annotations

from mutation.features.feature import read_features

DEFINITIONS = read_features(
    """
constant
W{n} = {w}
=> W{n}
---
literal in a function
def f{n}():
    return {w}
=> f{n}()
---
default of an argument
def f{n}(x={w}):
    return x
=> f{n}()
---
default of a keyword argument
def f{n}(*, x={w}):
    return x
=> f{n}()
---
captured variable
def make{n}(x):
    def inner():
        return x
    return inner
f{n} = make{n}({w})
=> f{n}()
---
lambda of two on a line
A{n}, B{n} = (lambda: "other"), (lambda: {w})
=> B{n}()
---
class attribute
class C{n}:
    word = {w}
=> C{n}.word
---
attribute of an object
class C{n}:
    def __init__(self, word):
        self.word = word
O{n} = C{n}({w})
=> O{n}.word
---
slot of an object
class C{n}:
    __slots__ = ("word",)
    def __init__(self, word):
        self.word = word
O{n} = C{n}({w})
=> O{n}.word
---
default of a dataclass
from dataclasses import dataclass
@dataclass
class C{n}:
    word: str = {w}
=> C{n}().word
---
default of a frozen dataclass with slots
from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class C{n}:
    word: str = {w}
=> C{n}().word
---
factory of a dataclass
from dataclasses import dataclass, field
@dataclass
class C{n}:
    word: list = field(default_factory=lambda: [{w}])
=> C{n}().word[0]
---
post init of a dataclass
from dataclasses import InitVar, dataclass
@dataclass
class C{n}:
    start: InitVar[str] = {w}
    def __post_init__(self, start):
        self.word = start
=> C{n}().word
---
member of an enumeration
from enum import Enum
class C{n}(Enum):
    A = {w}
=> C{n}.A.value
---
attribute of an enumeration's member
from enum import Enum
class C{n}(Enum):
    A = (1, {w})
    def __init__(self, number, word):
        self.word = word
=> C{n}.A.word
---
default of a named tuple
from typing import NamedTuple
class C{n}(NamedTuple):
    word: str = {w}
=> C{n}().word
---
namedtuple function
import collections
C{n} = collections.namedtuple("C{n}", "word", defaults=[{w}])
=> C{n}().word
---
default of a pydantic model
from pydantic import BaseModel
class C{n}(BaseModel):
    word: str = {w}
=> C{n}().word
---
pydantic object
from pydantic import BaseModel
class C{n}(BaseModel):
    word: str
O{n} = C{n}(word={w})
=> O{n}.word
"""
)
