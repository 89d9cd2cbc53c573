"""Objects, names looked up at run time, and blocks of code that hand a word on."""

from __future__ import annotations

from mutation.features.feature import read_features

LOOKUPS = read_features(
    """
object in an object
class C{n}:
    def word(self):
        return {e}
class H{n}:
    def __init__(self, held):
        self.held = held
O{n} = H{n}(H{n}(C{n}()))
=> O{n}.held.held.word()
---
object as class attribute
class C{n}:
    def word(self):
        return {e}
class H{n}:
    held = C{n}()
=> H{n}.held.word()
---
computed attribute
class C{n}:
    def __getattr__(self, name):
        return {e}
=> C{n}().anything
---
getattr
class C{n}:
    def word(self):
        return {e}
=> getattr(C{n}(), "wo" + "rd")()
---
method caller
import operator
class C{n}:
    def word(self):
        return {e}
f{n} = operator.methodcaller("word")
=> f{n}(C{n}())
---
globals | dynamic
def g{n}():
    return {e}
def f{n}():
    return globals()["g" + "{n}"]()
=> f{n}()
---
eval | dynamic
def g{n}():
    return {e}
def f{n}():
    return eval("g" + "{n}()")
=> f{n}()
---
if of a name
def f{n}(x=1):
    if type(x).__name__ == "int":
        return {e}
    return "x"
=> f{n}()
---
nested function
def f{n}():
    def inner():
        return {e}
    return inner()
=> f{n}()
---
nested class
def f{n}():
    class Inner:
        def word(self):
            return {e}
    return Inner().word()
=> f{n}()
---
generator
def f{n}():
    yield from (x for x in [{e}])
=> next(f{n}())
---
coroutine
import asyncio
async def f{n}():
    return {e}
=> asyncio.run(f{n}())
---
finally
def f{n}():
    found = []
    try:
        found.append({e})
    finally:
        found.append(1)
    return found[0]
=> f{n}()
---
protocol and abstract class
import abc
class B{n}(abc.ABC):
    @abc.abstractmethod
    def word(self): ...
class C{n}(B{n}):
    def word(self):
        return {e}
=> C{n}().word()
---
generic class
from typing import Generic, TypeVar
T{n} = TypeVar("T{n}")
class C{n}(Generic[T{n}]):
    def word(self):
        return {e}
=> C{n}[int]().word()
---
total ordering
import functools
@functools.total_ordering
class C{n}:
    def __init__(self, x=1):
        self.x = x
    def __eq__(self, other):
        return False
    def __lt__(self, other):
        self.x = {e}
        return True
def f{n}():
    one = C{n}()
    one <= 1
    return one.x
=> f{n}()
---
identity
class C{n}:
    def identity(self):
        return 1
    def word(self):
        return {e}
O{n} = C{n}()
=> O{n}.word()
---
vectorized
import numpy as np
f{n} = np.vectorize(lambda x: {e}, otypes=[object])
=> str(f{n}([1])[0])
---
filter of a template
import jinja2
E{n} = jinja2.Environment()
E{n}.filters["say"] = lambda x: {e}
D{n} = E{n}.from_string("{{{{ 1 | say }}}}")
=> D{n}.render()
---
annotations by text
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class C{n}:
    x: "int" = 1
    def word(self) -> str:
        return {e}
=> C{n}().word()
---
property by function
def get{n}(self):
    return {e}
class C{n}:
    word = property(get{n})
=> C{n}().word
---
method put in later
class C{n}:
    pass
def word{n}(self):
    return {e}
C{n}.word = word{n}
=> C{n}().word()
---
function of a library replaced
import textwrap
def fill{n}(text):
    return {e}
textwrap.fill{n} = fill{n}
=> textwrap.fill{n}("x")
---
iterator
class C{n}:
    def __iter__(self):
        yield {e}
=> next(iter(C{n}()))
---
walrus
def f{n}():
    if (x := {e}):
        return x
=> f{n}()
"""
)
