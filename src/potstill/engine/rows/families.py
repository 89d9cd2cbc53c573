"""The families of Python, NumPy, pandas and tensor values that have a place in rows."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping

SAID = {
    "truth": "true or false",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a decimal number",
    "text": "a text",
    "bytes": "bytes",
    "date": "a date",
    "moment": "a time",
    "clock": "a time of day",
    "span": "a duration",
    "list": "a list",
    "object": "an object",
}
"""The families of values that have a place in rows, as messages call them."""


def family(kind: type) -> str:
    """Return which family values of a type are of: one of `SAID`, `null`, or nothing."""
    if kind is type(None) or (kind.__module__.startswith("pandas.") and kind.__name__ in ("NaTType", "NAType")):
        return "null"
    if kind.__module__ == "numpy":
        return _numpy_family(kind)
    if hasattr(kind, "__dlpack__") and hasattr(kind, "__array__"):
        return "list"  # tensors of any library
    for name, bases in (
        ("truth", bool),
        ("int", int),
        ("float", float),
        ("text", str),
        ("bytes", (bytes, bytearray, memoryview)),
        ("moment", datetime.datetime),
        ("date", datetime.date),
        ("clock", datetime.time),
        ("span", datetime.timedelta),
        ("decimal", decimal.Decimal),
        ("object", Mapping),
        ("list", (list, tuple)),
    ):
        if issubclass(kind, bases):
            return name
    return ""


def _numpy_family(kind: type) -> str:
    """Return the family of a type of NumPy's."""
    import numpy as np

    for name, base in (
        ("truth", np.bool_),
        ("span", np.timedelta64),
        ("int", np.integer),
        ("float", np.floating),
        ("text", np.str_),
        ("bytes", np.bytes_),
        ("moment", np.datetime64),
        ("list", np.ndarray),
    ):
        if issubclass(kind, base):
            return name
    return ""
