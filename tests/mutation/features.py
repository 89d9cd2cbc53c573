"""Ways in which a word gets from where it is written to where a step uses it: leaves, layers and hops.

`{w}` is the word's literal, `{e}` the expression that gives the word so far, `{n}` a number that makes names unique,
`{m}` the module that `{e}` is defined in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One way."""

    name: str
    """What it is called in reports."""
    lines: str
    """What is defined for it in the module."""
    expression: str
    """What gives the word then."""
    dynamic: bool = False
    """Whether names are looked up at run time, so that whole modules count."""
    data: str = ""
    """Content of a data file `data{n}.txt` that it reads when it is imported."""


def _feature(text: str) -> Feature:
    """Read a feature: its name and marks, the lines it defines, and the expression behind `=>`."""
    head, _, body = text.strip("\n").partition("\n")
    lines, _, expression = body.rpartition("=>")
    name, *marks = (part.strip() for part in head.split("|"))
    data = next((mark.removeprefix("data ") for mark in marks if mark.startswith("data ")), "")
    return Feature(name, lines.rstrip(), expression.strip(), "dynamic" in marks, data)


def _features(text: str) -> list[Feature]:
    """Read features that are parted by lines of dashes."""
    return [_feature(part) for part in text.strip("\n").split("\n---\n")]


LEAVES = _features(
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
---
dict
D{n} = {{"a": ["b", {w}]}}
=> D{n}["a"][1]
---
order of a dict
D{n} = {{"a": 1, "b": 2}} if {w} == "O" "LD" else {{"b": 2, "a": 1}}
=> next(iter(D{n}))
---
set
D{n} = {{{w}}}
=> next(iter(D{n}))
---
deque
import collections
D{n} = collections.deque([{w}])
=> D{n}[0]
---
factory of a defaultdict
import collections
D{n} = collections.defaultdict(lambda: {w})
=> D{n}["x"]
---
factory of a defaultdict, captured
import collections
def make{n}(x):
    return collections.defaultdict(lambda: x)
D{n} = make{n}({w})
=> D{n}["x"]
---
mapping proxy
import types
D{n} = types.MappingProxyType({{"a": {w}}})
=> D{n}["a"]
---
simple namespace
import types
D{n} = types.SimpleNamespace(word={w})
=> D{n}.word
---
made module
import types
M{n} = types.ModuleType("made{n}")
M{n}.word = {w}
=> M{n}.word
---
subclass of dict
class C{n}(dict):
    def __missing__(self, key):
        return {w}
D{n} = C{n}()
=> D{n}["x"]
---
subclass of str with an attribute
class C{n}(str):
    pass
D{n} = C{n}("x")
D{n}.word = {w}
=> D{n}.word
---
subclass of list with content
class C{n}(list):
    pass
D{n} = C{n}([{w}])
=> D{n}[0]
---
object array
import numpy as np
D{n} = np.array(["x", {w}], dtype=object)
=> D{n}[1]
---
text array
import numpy as np
D{n} = np.array(["x", {w}])
=> str(D{n}[1])
---
structured array with objects
import numpy as np
D{n} = np.array([(1, {w})], dtype=[("a", "i4"), ("b", object)])
=> D{n}["b"][0]
---
frame
import pandas as pd
D{n} = pd.DataFrame({{"a": ["x", {w}]}})
=> D{n}["a"][1]
---
index of a frame
import pandas as pd
D{n} = pd.DataFrame({{"a": [1]}}, index=[{w}])
=> D{n}.index[0]
---
attributes of a series
import pandas as pd
D{n} = pd.Series([1], name={w})
=> D{n}.name
---
categories
import pandas as pd
D{n} = pd.Categorical.from_codes([0], categories=[{w}])
=> D{n}[0]
---
arrow table
import pyarrow as pa
D{n} = pa.table({{"a": [{w}]}})
=> D{n}["a"][0].as_py()
---
range
D{n} = range(len({w}) + ({w} == "NEW"))
=> "x" * len(D{n})
---
item getter
import operator
D{n} = operator.itemgetter({w})
=> D{n}({{"O" + "LD": "1", "N" + "EW": "2"}})
---
pattern
import re
D{n} = re.compile({w})
=> str(bool(D{n}.match("O" + "LD")))
---
jinja template
import jinja2
D{n} = jinja2.Template("x {{{{ y }}}} " + {w})
=> D{n}.render(y=1)
---
jinja loader
import jinja2
D{n} = jinja2.Environment(loader=jinja2.DictLoader({{"a": {w}}}))
=> D{n}.get_template("a").render()
---
partial
import functools
D{n} = functools.partial(str.replace, "x", "x")
E{n} = functools.partial(str.join, "", [{w}])
=> E{n}()
---
attribute of a function
def f{n}():
    return f{n}.word
f{n}.word = {w}
=> f{n}()
---
builtin of one's own
import builtins
builtins.word{n} = {w}
=> word{n}
---
attribute given to a library
import json
json.word{n} = {w}
=> json.word{n}
---
option of a library
import pandas as pd
pd.set_option("display.encoding", {w})
=> pd.get_option("display.encoding")
---
seed of a library
import random
random.seed({w})
=> str(random.random())
---
seed set by a method
import random
class P{n}:
    def __init__(self, seed):
        random.seed(seed)
p{n} = P{n}({w})
=> str(random.random())
---
seed set for a new class
import random
class P{n}:
    def __init_subclass__(cls, seed):
        random.seed(seed)
class Q{n}(P{n}, seed={w}):
    pass
=> str(random.random())
---
seed set in a comprehension
import random
[random.seed(word) for word in [{w}]]
=> str(random.random())
---
table of a library
import mimetypes
table{n} = mimetypes.types_map
table{n}[".{n}"] = {w}
=> mimetypes.types_map[".{n}"]
---
environment
import os
os.environ["WORD{n}"] = {w}
def f{n}():
    return os.environ["WORD{n}"]
=> f{n}()
---
attribute of a library's class
import pathlib
pathlib.PurePath.word{n} = {w}
=> pathlib.PurePath("x").word{n}
---
kind of a thread
import threading
class T{n}(threading.Thread):
    word = ""
O{n} = T{n}()
O{n}.word = {w}
=> O{n}.word
---
adapter of a logger
import logging
A{n} = logging.LoggerAdapter(logging.Logger("x"), {{"word": {w}}})
=> A{n}.extra["word"]
---
iterator of a list
I{n} = iter([{w}])
=> list(I{n})[0]
---
seed set by a function
import random
def prepare{n}(seed):
    random.seed(seed)
prepare{n}({w})
=> str(random.random())
---
context variable
import contextvars
D{n} = contextvars.ContextVar("D{n}", default={w})
=> D{n}.get()
---
exec
space{n} = {{}}
exec("def f(): return " + repr({w}), space{n})
f{n} = space{n}["f"]
=> f{n}()
---
class by exec
exec("class C{n}:\\n    def word(self):\\n        return " + repr({w}))
=> C{n}().word()
---
class by type
C{n} = type("C{n}", (), {{"word": lambda self: {w}}})
=> C{n}().word()
---
text file read at import | data {w}
import pathlib
D{n} = pathlib.Path(__file__).with_name("data{n}.txt").read_text()
=> D{n}
---
frame read at import | data {w}
import pathlib
import pandas as pd
D{n} = pd.read_csv(pathlib.Path(__file__).with_name("data{n}.txt"), header=None)
=> D{n}[0][0]
---
object read at import | data {w}
import pathlib
class C{n}:
    pass
D{n} = C{n}()
D{n}.word = pathlib.Path(__file__).with_name("data{n}.txt").read_text()
=> D{n}.word
---
docstring
def f{n}():
    return __import__("inspect").getdoc(g{n})
def g{n}(): {w}
=> f{n}()
---
f-string
def f{n}():
    x = 1
    return f"{{x:>3}}" + {w}
=> f{n}()
---
exception
def f{n}():
    try:
        raise ValueError({w})
    except ValueError as error:
        return str(error)
=> f{n}()
---
generator
def f{n}():
    yield {w}
=> next(f{n}())
---
comprehension
def f{n}():
    return [x for x in ({w},)][0]
=> f{n}()
---
match
def f{n}(x):
    match x:
        case {w}:
            return "yes"
    return "no"
=> f{n}("O" + "LD")
---
weak set
import weakref
class C{n}:
    def __init__(self, word):
        self.word = word
O{n} = C{n}({w})
D{n} = weakref.WeakSet([O{n}])
=> next(iter(D{n})).word
---
linked objects
class C{n}:
    def __init__(self, word, after):
        self.word, self.after = word, after
O{n} = C{n}({w}, C{n}("x", None))
O{n}.after.after = O{n}
=> O{n}.after.after.word
"""
)

LAYERS = _features(
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
---
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
---
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
f{n} = np.vectorize(lambda x: {e})
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

HOPS = _features(
    """
import
import {m}
=> {m}.{x}
---
import as
import {m} as k{n}
=> k{n}.{x}
---
from import
from {m} import {x}
=> {x}
---
from import as
from {m} import {x} as g{n}
=> g{n}
---
star
from {m} import *
=> {x}
---
import in a function
def f{n}():
    import {m}
    return {m}.{x}()
=> f{n}
---
import as in a function
def f{n}():
    import {m} as k
    return k.{x}()
=> f{n}
---
from import in a function
def f{n}():
    from {m} import {x}
    return {x}()
=> f{n}
---
from package in a function
def f{n}():
    from {p} import {b}
    return {b}.{x}()
=> f{n}
---
from package
from {p} import {b}
=> {b}.{x}
---
module as class attribute
import {m}
class H{n}:
    held = {m}
=> H{n}.held.{x}
---
module as default
import {m} as k{n}
def f{n}(k=k{n}):
    return k.{x}()
=> f{n}
---
module captured
import {m} as k{n}
def make{n}(k):
    return lambda: k.{x}()
f{n} = make{n}(k{n})
=> f{n}
---
module in a variable
import {m} as k{n}
def f{n}():
    k = k{n}
    return k.{x}()
=> f{n}
---
module in a list
import {m} as k{n}
L{n} = [k{n}]
=> L{n}[0].{x}
---
getattr of a module
import {m} as k{n}
def f{n}():
    return getattr(k{n}, "{x}"[:99])()
=> f{n}
---
vars of a module
import {m} as k{n}
def f{n}():
    return vars(k{n})["{x}"]()
=> f{n}
---
dict of a module
import {m} as k{n}
def f{n}():
    return k{n}.__dict__["{x}"]()
=> f{n}
---
attribute getter
import operator
import {m} as k{n}
def f{n}():
    return operator.attrgetter("{x}")(k{n})()
=> f{n}
---
import_module
import importlib
def f{n}():
    return importlib.import_module("{m}").{x}()
=> f{n}
---
import_module of a variable | dynamic
import importlib
N{n} = "{m}"
def f{n}():
    return importlib.import_module(N{n}).{x}()
=> f{n}
---
__import__ | dynamic
def f{n}():
    return __import__("{m}", fromlist=["x"]).{x}()
=> f{n}
---
sys.modules | dynamic
import sys
import {m}
def f{n}():
    return sys.modules["{m}"].{x}()
=> f{n}
---
try to import
try:
    from {m} import {x} as g{n}
except ImportError:
    g{n} = None
=> g{n}
"""
)
