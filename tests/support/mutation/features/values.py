"""Values that hold a word: containers, arrays, tables, patterns, templates, parts of functions."""

from __future__ import annotations

from mutation.features.feature import read_features

VALUES = read_features(
    """
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
"""
)
