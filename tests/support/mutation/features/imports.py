"""Ways from one module to another."""

from __future__ import annotations

from mutation.features.feature import read_features

IMPORTS = read_features(
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
