"""Values of rows as bytes and back, exactly: what a journal gives back is what it was given.

Plain data (numbers, text, bytes, lists, dicts) is MessagePack; every other type has a number of its own, which is never
given to another. Nothing that is read can run code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as clock_time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack

if TYPE_CHECKING:
    import numpy as np

_DATE, _DATETIME, _TIME, _DECIMAL, _ZONED, _INSTANT, _ZONED_TIME, _SPAN, _UUID, _INT, _TUPLE, _ARRAY, _PANDAS = range(
    13
)
Unit = Literal["s", "ms", "us", "ns"]
"""What pandas counts time in."""


def pack(value: object) -> bytes:
    """Return a value as bytes.

    Raises:
        TypeError: the value, or one inside of it, is of a type that has no place in rows.
        ValueError: it is nested too deep.
    """
    # strict_types: a subclass, such as an enum of texts, comes to `_extended` and is packed as its base
    return bytes(msgpack.packb(value, default=_extended, strict_types=True, unicode_errors="surrogatepass"))


def unpack(packed: bytes) -> Any:
    """Return the value that `pack` was given.

    Raises:
        ValueError: the bytes are not what this version's `pack` gives; also other errors of what they hold.
    """
    # strict_map_key: keys of dicts may be numbers; surrogatepass: half an emoji is a text, too
    return msgpack.unpackb(packed, ext_hook=_restored, strict_map_key=False, unicode_errors="surrogatepass")


def _extended(value: Any) -> Any:
    """Return what MessagePack can hold and has no type for."""
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(value)
    if library == "numpy":
        return _numpy(value)
    for kind, packed in _EXTENDED:
        if isinstance(value, kind):
            return packed(value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__array__"):  # a tensor
        return _numpy(value.__array__())
    raise TypeError(f"a {type(value).__name__} has no place in a row: {value!r:.60}; use a list, a text or a number")


def _ext(number: int, *parts: object) -> msgpack.ExtType:
    """Return parts under the number of a type."""
    return msgpack.ExtType(number, pack(list(parts)))


def _text(number: int, text: str) -> msgpack.ExtType:
    """Return a text under the number of a type."""
    return msgpack.ExtType(number, text.encode())


def _moment(value: datetime) -> msgpack.ExtType:
    """Return a date with its time, and the name of its zone."""
    zone = value.tzinfo
    if zone is None or isinstance(zone, timezone):
        return _text(_DATETIME, value.isoformat())
    if isinstance(zone, ZoneInfo) and zone.key:
        return _ext(_ZONED, value.replace(tzinfo=None).isoformat(), zone.key, value.fold)
    # zones of other libraries: the instant, and the name by which zoneinfo has the zone
    return _ext(_INSTANT, value.astimezone(UTC).replace(tzinfo=None).isoformat(), _name_of(zone))


def _name_of(zone: tzinfo) -> str:
    """Return the name of a zone as rows will have it."""
    import pyarrow as pa

    try:
        return str(pa.lib.tzinfo_to_string(zone))
    except (ValueError, pa.ArrowException) as error:
        raise TypeError(f"the time zone {zone!r:.60} has no name: use zoneinfo.ZoneInfo") from error


def _zone_of(name: str) -> tzinfo:
    """Return the zone of a name, or the one of a fixed offset such as +01:00."""
    if name[:1] in "+-":
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo
        assert zone is not None, "an offset was given"
        return zone
    return ZoneInfo(name)


def _clock(value: clock_time) -> msgpack.ExtType:
    """Return a time of day, and the name of its zone."""
    if isinstance(value.tzinfo, ZoneInfo):
        return _ext(_ZONED_TIME, value.replace(tzinfo=None).isoformat(), value.tzinfo.key, value.fold)
    return _text(_TIME, value.isoformat())


def _numpy(value: np.ndarray[Any, Any] | np.generic) -> Any:
    """Return a NumPy scalar or array with its type; objects are lists."""
    import numpy as np

    if isinstance(value, (str, bytes)):  # NumPy's, which are Python's, too
        return str(value) if isinstance(value, str) else bytes(value)
    if value.dtype.hasobject:
        return value.tolist()
    if value.dtype.names is not None or value.dtype.subdtype is not None or value.dtype.kind == "V":
        raise TypeError(f"a NumPy value of type {value.dtype} has no place in a row; use a dict")
    shape = list(value.shape) if isinstance(value, np.ndarray) else None
    return _ext(_ARRAY, value.dtype.str, shape, value.tobytes())


def _array(dtype: str, shape: list[int] | None, content: bytes) -> Any:
    """Return the NumPy array, or scalar, that was packed."""
    import numpy as np

    # of bytes, so that it could not be written to: hence the copy
    array = np.frombuffer(content, dtype)
    return array[0] if shape is None else array.reshape(shape).copy()


def _pandas(value: Any) -> Any:
    """Return a value that pandas has a type of its own for."""
    kind = type(value).__name__
    if kind in ("NAType", "NaTType"):
        return _ext(_PANDAS, kind)
    if kind == "Timestamp":
        zone = None if value.tzinfo is None else _name_of(value.tzinfo)
        return _ext(_PANDAS, kind, value.value, value.unit, zone)
    if kind == "Timedelta":
        return _ext(_PANDAS, kind, value.value, value.unit)
    raise TypeError(f"a pandas {kind} has no place in a row: {value!r:.60}; use a list or a dict")


def _of_pandas(kind: str, number: int = 0, unit: Unit = "ns", zone: str | None = None) -> Any:
    """Return the value of pandas that was packed."""
    import pandas as pd

    if kind in ("NAType", "NaTType"):
        return pd.NA if kind == "NAType" else pd.NaT
    if kind == "Timedelta":
        return pd.Timedelta(number, unit="ns").as_unit(unit)
    moment = pd.Timestamp(number, unit="ns", tz=None if zone is None else _zone_of(zone))
    return moment.as_unit(unit)


def _restored(number: int, content: bytes) -> Any:
    """Return what `_extended` packed.

    Raises:
        ValueError: there is no type of that number.
    """
    if number in _FROM_TEXT:
        return _FROM_TEXT[number](content.decode())
    if number not in _FROM_PARTS:
        raise ValueError(f"no type has the number {number}")
    return _FROM_PARTS[number](*unpack(content))


_EXTENDED: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (datetime, _moment),
    (date, lambda value: _text(_DATE, value.isoformat())),
    (clock_time, _clock),
    (timedelta, lambda value: _ext(_SPAN, value.days, value.seconds, value.microseconds)),
    (Decimal, lambda value: _text(_DECIMAL, str(value))),
    (UUID, lambda value: _text(_UUID, value.hex)),
    (str, str.__str__),
    (bool, bool),
    (int, lambda value: int(value) if -(2**63) <= value < 2**64 else _text(_INT, hex(value))),
    (float, float),
    (Mapping, dict),
    (tuple, lambda value: _ext(_TUPLE, *value)),
    (list, list),
    ((bytes, bytearray, memoryview), bytes),
)
"""How types are packed; a class that has two of them as bases is of the first."""
_FROM_TEXT: Mapping[int, Callable[[str], Any]] = {
    _DATE: date.fromisoformat,
    _DATETIME: datetime.fromisoformat,
    _TIME: clock_time.fromisoformat,
    _DECIMAL: Decimal,
    _UUID: UUID,
    _INT: lambda text: int(text, 16),
}
_FROM_PARTS: Mapping[int, Callable[..., Any]] = {
    _ZONED: lambda text, zone, fold: datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold),
    _INSTANT: lambda text, zone: datetime.fromisoformat(text).replace(tzinfo=UTC).astimezone(_zone_of(zone)),
    _ZONED_TIME: lambda text, zone, fold: clock_time.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold),
    _SPAN: timedelta,
    _TUPLE: lambda *items: items,
    _ARRAY: _array,
    _PANDAS: _of_pandas,
}
