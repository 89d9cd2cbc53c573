"""Arrow types: which can be kept, as what, and how messages call them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from potstill.engine.rows.objects import is_json

if TYPE_CHECKING:
    import pyarrow as pa

REMEDIES = {
    "map": "make it a list of objects, or a column for each key (from a file: LoadParquet(..., schema={name: dict}))",
    "arrow.uuid": "make it a text (from a file: LoadParquet(..., schema={name: str}))",
    "pandas.period": "use .dt.to_timestamp() or .astype(str)",
    "pandas.interval": "use .astype(str), or a column for each end",
    "month_day_nano_interval": "use a duration, or a number of months",
    "arrow.fixed_shape_tensor": "make it lists",
}
"""What to do about types that can't be kept."""


DEEPEST = 48
"""How deep values may be nested: Parquet's readers take 100 levels, of which a list has two, and Arrow's 64."""


class Unfit(Exception):
    """Values that can't be kept, or not in one column."""


def stored(kind: pa.DataType, nested: bool = False) -> pa.DataType:
    """Return the type in which values of `kind` are kept and can be read again as equal ones.

    Raises:
        Unfit: there is none, and what to do instead.
    """
    import pyarrow as pa

    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _stored_extension(kind)
    if is_.is_dictionary(kind) or is_.is_run_end_encoded(kind):
        return stored(kind.value_type, nested)
    if is_.is_string_view(kind):
        return pa.string()
    if is_.is_binary_view(kind) or (nested and is_.is_fixed_size_binary(kind)):
        return pa.binary()
    if is_.is_date64(kind):
        return pa.date32()
    if (is_.is_time(kind) or is_.is_timestamp(kind)) and kind.unit == "s":  # Parquet has none
        return pa.time32("ms") if is_.is_time(kind) else pa.timestamp("ms", kind.tz)
    if is_.is_decimal(kind) and (kind.bit_width < 128 or kind.scale < 0):
        digits = kind.precision - min(kind.scale, 0)
        return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, max(kind.scale, 0))
    if is_.is_struct(kind):
        return pa.struct([_stored_field(part) for part in kind]) if kind.num_fields else pa.json_()
    if is_.is_fixed_size_list(kind):
        return pa.list_(_stored_field(kind.value_field), kind.list_size)
    if is_.is_large_list(kind):
        return pa.large_list(_stored_field(kind.value_field))
    if is_.is_list(kind) or is_.is_list_view(kind) or is_.is_large_list_view(kind):
        return pa.list_(_stored_field(kind.value_field))
    if is_.is_map(kind) or is_.is_union(kind) or is_.is_interval(kind):
        raise _refused(kind, "map" if is_.is_map(kind) else str(kind))
    return kind


def stored_schema(schema: pa.Schema) -> tuple[pa.Schema, list[str]]:
    """Return a schema as it is kept, without metadata, and what is wrong with it, column by column."""
    import pyarrow as pa

    fields, wrong = [], []
    for part in schema:
        try:
            kind = stored(part.type)
            if _depth(kind) > DEEPEST:
                raise Unfit(f"is nested more than {DEEPEST} levels deep: give it as a text, as json.dumps does")
            fields.append(pa.field(part.name, kind, part.nullable))
        except Unfit as error:
            wrong.append(f"column {part.name!r} {error}")
    wrong += [f"column {part.name!r} has a NUL in its name or a key: rename it" for part in schema if _has_nul(part)]
    twice = sorted(name for name, times in Counter(schema.names).items() if times > 1)
    wrong += [f"column {name!r} is there more than once: rename all but one" for name in twice]
    return pa.schema(fields), wrong


def said(kind: pa.DataType) -> str:
    """Return how messages call a type."""
    import pyarrow as pa

    is_ = pa.types
    for test, word in (
        (is_.is_boolean, "true or false"),
        (is_.is_integer, "a whole number"),
        (is_.is_floating, "a number"),
        (is_text, "a text"),
        (is_bytes, "bytes"),
        (is_list, "a list"),
        (lambda kind: is_.is_struct(kind) or is_json(kind), "an object"),
        (is_.is_date, "a date"),
        (lambda kind: is_.is_timestamp(kind) and kind.tz is None, "a time without a zone"),
        (is_.is_timestamp, "a time with a zone"),
    ):
        if test(kind):
            return str(word)
    return str(kind)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type holds numbers, decimals among them."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _stored_extension(kind: pa.BaseExtensionType) -> pa.DataType:
    """Return the type for an extension: JSON, and the arrays that `datasets` knows, stay as they are."""
    import pyarrow as pa

    name = getattr(kind, "extension_name", "")
    if name == "arrow.json" or name.startswith("datasets."):
        return kind
    if name == "arrow.bool8":
        return pa.bool_()
    raise _refused(kind, name)


def _stored_field(part: pa.Field) -> pa.Field:
    """Return the field of a nested type as it is kept."""
    import pyarrow as pa

    return pa.field(part.name, stored(part.type, nested=True), part.nullable)


def _depth(kind: pa.DataType) -> int:
    """Return how many lists and objects lie in each other in values of a type."""
    return max((_depth(kind.field(number).type) + 1 for number in range(kind.num_fields)), default=0)


def _has_nul(part: pa.Field) -> bool:
    """Return whether a name holds the character at which Arrow's readers of names stop."""
    kind = part.type
    return "\0" in part.name or any(_has_nul(kind.field(number)) for number in range(kind.num_fields))


def _refused(kind: pa.DataType, name: str) -> Unfit:
    """Return why a type can't be kept, and what to do."""
    return Unfit(f"holds {kind}, which rows can't hold: {REMEDIES.get(name, 'give it a plain type')}")


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type holds texts."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type holds bytes."""
    import pyarrow as pa

    is_ = pa.types
    return bool(is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type holds lists, of any or of one length."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_moment(kind: pa.DataType) -> bool:
    """Return whether a type holds dates or times."""
    import pyarrow as pa

    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
