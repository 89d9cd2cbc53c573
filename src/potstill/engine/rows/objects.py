"""Objects with keys of their own, as tool arguments have them: kept as JSON text, so that no row gets another's keys.

Arrow's structs have the same fields in every row. Where the objects of a column differ in their keys, the column holds
JSON (Arrow's `arrow.json`, which `datasets` knows as `Json` and decodes when rows are read).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def encoded(value: object) -> str | None:
    """Return an object as JSON text, and nothing for a missing one.

    Raises:
        TypeError: something in it has no place in JSON, such as a date or a key that is no text.
        RecursionError: it is nested too deep.
    """
    return None if value is None else dumps(value)


def dumps(value: object) -> str:
    """Return JSON text from which `loads` makes an equal value; NaN and infinity stand in it as Python writes them.

    Raises:
        TypeError: something in it has no place in JSON.
    """
    return json.dumps(_checked(value), ensure_ascii=False)


def loads(text: str | bytes) -> Any:
    """Return the value of JSON text, each number as exactly as Python holds it."""
    return json.loads(text)


def is_json(kind: pa.DataType) -> bool:
    """Return whether a type holds objects as JSON text."""
    return getattr(kind, "extension_name", "") == "arrow.json"


def holds_json(kind: pa.DataType) -> bool:
    """Return whether a type holds JSON anywhere in it."""
    return is_json(kind) or any(holds_json(kind.field(number).type) for number in range(kind.num_fields))


def of_texts(texts: pa.Array) -> pa.Array:
    """Return JSON texts as a column of objects."""
    import pyarrow as pa

    return pa.ExtensionArray.from_storage(pa.json_(), texts)


def make_exact() -> None:
    """Make `datasets` read and write the numbers of such columns exactly.

    It uses pandas' ujson, which reads a third of all floats one bit off, writes ten digits, writes dates as numbers and
    refuses integers of more than 64 bits.
    """
    from datasets import arrow_writer
    from datasets.features import features
    from datasets.utils import json as helpers

    for module in (features, helpers):
        module.ujson_loads = loads
    for module in (features, helpers, arrow_writer):
        module.ujson_dumps = dumps


def _checked(value: object) -> Any:
    """Return a value in which JSON changes nothing: NumPy's numbers as Python's, all keys texts."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        strange = [key for key in value if not isinstance(key, str)]
        if strange:
            raise TypeError(f"the key {strange[0]!r:.60} is no text")
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _checked(value.tolist())
    raise TypeError(f"{value!r:.60} ({type(value).__name__}) has no place in an object with keys of its own")
