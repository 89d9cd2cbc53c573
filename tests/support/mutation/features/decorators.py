"""Decorators, registries and functions given to functions that hand a word on."""

from __future__ import annotations

from mutation.features.feature import read_features

DECORATORS = read_features(
    """
own decorator
import functools
def deco{n}(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)
    return inner
@deco{n}
def f{n}():
    return {e}
=> f{n}()
---
decorator that says it
def deco{n}(function):
    def inner(*args):
        return {e}
    return inner
@deco{n}
def f{n}():
    return "x"
=> f{n}()
---
decorator with an argument
def deco{n}(get):
    def outer(function):
        return lambda: get()
    return outer
@deco{n}(lambda: {e})
def f{n}():
    return "x"
=> f{n}()
---
library's decorator
import numpy as np
@np.errstate(all="ignore")
def f{n}():
    return {e}
=> f{n}()
---
context manager
from contextlib import contextmanager
@contextmanager
def open{n}():
    yield {e}
def f{n}():
    with open{n}() as word:
        return word
=> f{n}()
---
context decorator
from contextlib import ContextDecorator, nullcontext
class quiet{n}(ContextDecorator, nullcontext):
    pass
@quiet{n}()
def f{n}():
    return {e}
=> f{n}()
---
remembered
import functools
@functools.lru_cache
def f{n}():
    return {e}
=> f{n}()
---
single dispatch
import functools
@functools.singledispatch
def f{n}(x):
    return "x"
@f{n}.register
def _(x: int):
    return {e}
=> f{n}(1)
---
single dispatch method
import functools
class C{n}:
    @functools.singledispatchmethod
    def word(self, x):
        return {e}
=> C{n}().word(1)
---
table of functions
T{n} = {{"f": lambda: {e}, "g": lambda: T{n}["f"]()}}
=> T{n}["g"]()
---
functions that name their table
def f{n}(x):
    return {e} if x else T{n}["g"](1)
def g{n}(x):
    return T{n}["f"](x)
T{n} = {{"f": f{n}, "g": g{n}}}
=> T{n}["f"](0)
---
registry filled by a decorator
R{n} = {{}}
def register{n}(function):
    R{n}[function.__name__] = function
    return function
@register{n}
def f{n}():
    return {e}
=> R{n}["f{n}"]()
---
registry of subclasses
class B{n}:
    known = []
    def __init_subclass__(cls):
        B{n}.known.append(cls)
class C{n}(B{n}):
    def word(self):
        return {e}
=> B{n}.known[0]().word()
---
subclasses
class B{n}:
    pass
class C{n}(B{n}):
    def word(self):
        return {e}
=> B{n}.__subclasses__()[0]().word()
---
captured function
def make{n}(g):
    return lambda: g()
f{n} = make{n}(lambda: {e})
=> f{n}()
---
partial of a function
import functools
def g{n}(x):
    return {e}
f{n} = functools.partial(g{n}, 1)
=> f{n}()
---
function as default
def g{n}():
    return {e}
def f{n}(g=g{n}):
    return g()
=> f{n}()
---
bound method as a global
class C{n}:
    def word(self):
        return {e}
f{n} = C{n}().word
=> f{n}()
"""
)
