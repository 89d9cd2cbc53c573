"""Words that a module hands on as it runs: to libraries, from files, by code that it executes, in syntax."""

from __future__ import annotations

from mutation.features.feature import read_features

EFFECTS = read_features(
    """
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
