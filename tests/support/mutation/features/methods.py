"""Functions and members of classes that hand a word on."""

from __future__ import annotations

from mutation.features.feature import read_features

METHODS = read_features(
    """
function
def f{n}():
    return {e}
=> f{n}()
---
method
class C{n}:
    def word(self):
        return {e}
=> C{n}().word()
---
static method
class C{n}:
    @staticmethod
    def word():
        return {e}
=> C{n}.word()
---
class method
class C{n}:
    @classmethod
    def word(cls):
        return {e}
=> C{n}.word()
---
property
class C{n}:
    @property
    def word(self):
        return {e}
=> C{n}().word
---
setter
class C{n}:
    @property
    def word(self):
        return self.kept
    @word.setter
    def word(self, value):
        self.kept = {e}
def f{n}():
    one = C{n}()
    one.word = 1
    return one.word
=> f{n}()
---
cached property
import functools
class C{n}:
    @functools.cached_property
    def word(self):
        return {e}
=> C{n}().word
---
descriptor
class G{n}:
    def __get__(self, one, cls=None):
        return {e}
class C{n}:
    word = G{n}()
=> C{n}().word
---
partial method
import functools
class C{n}:
    def say(self, times):
        return {e}
    word = functools.partialmethod(say, 1)
=> C{n}().word()
---
callable object
class C{n}:
    def __call__(self):
        return {e}
f{n} = C{n}()
=> f{n}()
---
operator of a class
class C{n}:
    def __add__(self, other):
        return {e}
=> (C{n}() + 1)
---
metaclass
class M{n}(type):
    def word(cls):
        return {e}
class C{n}(metaclass=M{n}):
    pass
=> C{n}.word()
---
base class
class B{n}:
    def word(self):
        return {e}
class C{n}(B{n}):
    def word(self):
        return super().word()
=> C{n}().word()
---
method of an enumeration
from enum import Enum
class C{n}(Enum):
    A = 1
    def word(self):
        return {e}
=> C{n}.A.word()
---
method of a named tuple
from typing import NamedTuple
class C{n}(NamedTuple):
    x: int
    def word(self):
        return {e}
O{n} = C{n}(1)
=> O{n}.word()
---
method of a dataclass
from dataclasses import dataclass
@dataclass(frozen=True)
class C{n}:
    x: int = 1
    def word(self):
        return {e}
=> C{n}().word()
---
pydantic validator
from pydantic import BaseModel, field_validator
class C{n}(BaseModel):
    x: str
    @field_validator("x")
    @classmethod
    def check(cls, x):
        return {e}
=> C{n}(x="a").x
---
annotated validator
from typing import Annotated
from pydantic import AfterValidator, BaseModel
def check{n}(x):
    return {e}
class C{n}(BaseModel):
    x: Annotated[str, AfterValidator(check{n})]
=> C{n}(x="a").x
---
validated call
from pydantic import validate_call
@validate_call
def f{n}(x: int):
    return {e}
=> f{n}(1)
"""
)
