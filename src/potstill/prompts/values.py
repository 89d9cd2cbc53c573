"""A row's values as templates see them: nulls that refuse to be written, lists and objects as JSON, fields first.

Jinja writes whatever it gets by `str()`: `None` for a null, Python's brackets for a list, an address for a method. All
that a template writes goes through `written` instead, and what is no text there spoils its row, by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar
from uuid import UUID

from jinja2 import StrictUndefined
from jinja2.exceptions import TemplateRuntimeError, UndefinedError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, modifies_known_mutable
from jinja2.utils import missing

from potstill.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

MISSING_TYPES = frozenset({"NAType", "NaTType"})
"""Names of pandas' types for a value that is not there; pandas itself need not be imported to know them."""


PLAIN = frozenset({str, int, bool})
"""Types of values that are written as they are."""


class UnfitRow(BadInput):
    """A value of the row can't be put into the prompt; other rows may well fit."""

    @property
    def reason(self) -> str:
        """What the ledger counts the row under."""
        return self.problems[0].message


class Null(Undefined):
    """A null of the row: false, equal to none, replaced by `default`, and never written."""

    __slots__ = ()
    __str__ = __iter__ = __len__ = __contains__ = Undefined._fail_with_undefined_error

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is null too."""
        return other is None or isinstance(other, Null)

    def __hash__(self) -> int:
        """Return the hash of what it equals."""
        return hash(None)


class Missing(StrictUndefined):
    """A name that nothing gives is the template's fault; a field that this row's value lacks spoils the row alone."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        """Take what Jinja knows of the place."""
        of_the_row = exc is UndefinedError and (obj is not missing or name is None)
        if of_the_row and hint is None:
            hint = f"nothing at {getattr(obj, '_place', type(obj).__name__)}.{name}"
        # UnfitRow is raised with the message alone, as Jinja's own are
        super().__init__(hint, obj, name, UnfitRow if of_the_row else exc)  # type: ignore[arg-type]


class Fields(dict[str, Any]):
    """An object of the row; written as JSON."""

    _place = ""

    def __str__(self) -> str:
        """Return the JSON text."""
        return json_text(self)


class Items(list[Any]):
    """A list of the row; written as JSON."""

    _place = ""

    def __str__(self) -> str:
        """Return the JSON text."""
        return json_text(self)


class Blob(bytes):
    """Bytes of the row; not written at all."""

    _place = ""

    def __str__(self) -> str:
        """Refuse.

        Raises:
            UnfitRow: bytes are no text.
        """
        raise UnfitRow(f"bytes in column {self._place}")


Placed = TypeVar("Placed", Fields, Items, Blob)


class RowEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which a field of an object comes before the object's methods."""

    def getattr(self, obj: object, attribute: str) -> Any:
        """Return the field `attribute` of an object, or else what the sandbox allows."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Mapping) and modifies_known_mutable(obj, attribute):
            return self.undefined(obj=obj, name=attribute)  # a field that this row lacks, such as `pop`
        return super().getattr(obj, attribute)


def new_environment() -> RowEnvironment:
    """Return the environment of prompt templates: an untrusted template reaches no internals of Python."""
    templates = RowEnvironment(
        undefined=Missing, trim_blocks=True, lstrip_blocks=True, autoescape=False, finalize=written
    )
    templates.tests["none"] = is_null
    templates.filters["pprint"] = json_text
    del (
        templates.filters["random"],
        templates.globals["lipsum"],
    )  # another prompt at each run is asked again at each run
    templates.policies["json.dumps_function"] = _dumps
    return templates


def is_null(value: object) -> bool:
    """Return whether a value stands for nothing: None, NaN, or pandas' NaT and NA."""
    if value is None or isinstance(value, Null) or type(value).__name__ in MISSING_TYPES:
        return True
    return isinstance(value, (float, Decimal)) and value != value


def shown(value: object, place: str) -> Any:
    """Return what a template sees of a row's `value`; `place` names its column, and the field in it."""
    if type(value) in PLAIN:
        return value  # most are, and nothing about them changes
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = _of_numpy(value)
    if is_null(value):
        return Null(f"null in column {place}", exc=UnfitRow)  # type: ignore[arg-type]  # raised with the message alone
    if isinstance(value, Mapping):
        return _placed(Fields({key: shown(item, f"{place}.{key}") for key, item in value.items()}), place)
    if isinstance(value, (list, tuple)):
        return _placed(Items(shown(item, f"{place}[]") for item in value), place)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _placed(Blob(value), place)
    return value


def _of_numpy(value: Any) -> Any:
    """Return what NumPy's arrays and numbers hold; of times, Python's: it takes nanoseconds for whole numbers."""
    code = getattr(value.dtype, "str", "")
    return (value.astype(f"{code[:3]}[us]") if code[1:] in ("M8[ns]", "m8[ns]") else value).tolist()


def _placed(value: Placed, place: str) -> Placed:
    """Return `value`, which then knows where it stands."""
    value._place = place
    return value


def written(value: object) -> str:
    """Return the text of a value that a template writes.

    Raises:
        UnfitRow: it is a null, bytes, or nothing that has a text.
    """
    if type(value) in PLAIN or isinstance(value, (str, Undefined, Blob)):
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "item"):
        value = _of_numpy(value)
    if is_null(value):
        raise UnfitRow("null in the prompt")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (bool, int, float, complex, timedelta, UUID)):
        return str(value)
    if _listed(value) or isinstance(value, Mapping):
        return json_text(value)
    raise UnfitRow(f"a {type(value).__name__} in the prompt, which has no text")


def json_text(value: object) -> str:
    """Return a list or an object as JSON, with nulls where the row has them.

    Raises:
        UnfitRow: something in it has no place in JSON.
    """
    if is_null(value):
        return "null"
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key), ensure_ascii=False)}: {json_text(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if _listed(value):
        return f"[{', '.join(json_text(item) for item in value)}]"
    if isinstance(value, float) and math.isinf(value):
        raise UnfitRow(f"{value} in an object or list of the prompt, for which JSON has no word")
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    text = written(value)
    return text if isinstance(value, Decimal) else json.dumps(text, ensure_ascii=False)


def _listed(value: object) -> TypeGuard[Iterable[object]]:
    """Return whether a value is written as a list: filters such as `map` give iterators."""
    if isinstance(value, (str, bytes)):
        return False
    return isinstance(value, (Sequence, Set, Iterator, KeysView, ValuesView, ItemsView))


def _dumps(value: object, **settings: Any) -> str:
    """Return JSON for the filter `tojson`, which writes nulls as JSON does."""
    return json.dumps(value, default=lambda item: None if is_null(item) else written(item), **settings)
