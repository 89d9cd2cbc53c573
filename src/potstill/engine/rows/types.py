"""Arrow types: which can be kept, as what, and the one that holds the values of two without changing any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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


def common_schema(schemas: Iterable[pa.Schema]) -> tuple[pa.Schema, list[str]]:
    """Return the schema that holds the rows of several, without metadata, and where they don't go together."""
    import pyarrow as pa

    fields: dict[str, pa.Field] = {}
    wrong = []
    for number, schema in enumerate(schemas):
        stored_part, problems = stored_schema(schema)
        wrong += problems
        for part in stored_part:
            known = fields.setdefault(part.name, part.with_nullable(True))
            try:
                fields[part.name] = known.with_type(unified(known.type, part.type))
            except Unfit as error:
                wrong.append(f"column {part.name!r} of input {number} does not go with those before it ({error})")
    return pa.schema(fields.values()), wrong


def unified(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of two stored types; casting to it may still find one that doesn't fit.

    Raises:
        Unfit: there is none.
    """
    import pyarrow as pa

    is_ = pa.types
    if one.equals(other) or is_.is_null(other):
        return one
    if is_.is_null(one):
        return other
    if is_json(one) or is_json(other):
        rest = other if is_json(one) else one
        if is_json(rest) or is_.is_struct(rest):
            return pa.json_()
        raise Unfit(f"{said(one)} and {said(other)}")
    for same, together in (
        (is_number, _numbers),
        (_is_moment, _moments),
        (_is_text, lambda *_: pa.large_string()),
        (_is_bytes, lambda a, b: pa.large_binary() if pa.large_binary() in (a, b) else pa.binary()),
        (is_.is_time, lambda *_: pa.time64("ns" if pa.time64("ns") in (one, other) else "us")),
        (is_.is_duration, lambda a, b: pa.duration(_finer(a.unit, b.unit))),
        (_is_list, _lists),
        (is_.is_struct, _structs),
    ):
        if same(one) and same(other):
            return together(one, other)
    raise Unfit(f"{said(one)} and {said(other)}")


def said(kind: pa.DataType) -> str:
    """Return how messages call a type."""
    import pyarrow as pa

    is_ = pa.types
    for test, word in (
        (is_.is_boolean, "true or false"),
        (is_.is_integer, "a whole number"),
        (is_.is_floating, "a number"),
        (_is_text, "a text"),
        (_is_bytes, "bytes"),
        (_is_list, "a list"),
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


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    return bool(is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_moment(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds two kinds of numbers."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_decimal(one) or is_.is_decimal(other):
        if is_.is_floating(one) or is_.is_floating(other):
            raise Unfit("a decimal number and a binary one (float)")
        scale = max(_scale(one), _scale(other))
        digits = max(_whole_digits(one), _whole_digits(other)) + scale
        if digits > 76:
            raise Unfit("decimal numbers of more than 76 digits together")
        return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, scale)
    if is_.is_floating(one) or is_.is_floating(other):
        both = is_.is_floating(one) and is_.is_floating(other)
        return max(one, other, key=lambda kind: kind.bit_width) if both else pa.float64()
    if is_.is_signed_integer(one) == is_.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    return pa.int64()


def _scale(kind: pa.DataType) -> int:
    """Return the digits behind the point."""
    return int(getattr(kind, "scale", 0))


def _whole_digits(kind: pa.DataType) -> int:
    """Return the digits before the point; an integer of 64 bits has up to 20."""
    return int(kind.precision) - int(kind.scale) if hasattr(kind, "precision") else 20


def _moments(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds dates or times of two kinds; a date is the midnight that it begins with."""
    import pyarrow as pa

    if pa.types.is_date(one) and pa.types.is_date(other):
        return pa.date32()
    zones = {getattr(kind, "tz", None) for kind in (one, other)}
    units = [kind.unit for kind in (one, other) if pa.types.is_timestamp(kind)]
    if None in zones and len(zones) > 1:
        raise Unfit(f"{said(one)} and {said(other)}")
    return pa.timestamp(_finer(*units), zones.pop() if len(zones) == 1 else "UTC")


def _finer(*units: str) -> str:
    """Return the finest of some units of time."""
    return max(units, key=("s", "ms", "us", "ns").index)


def _lists(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds two kinds of lists."""
    import pyarrow as pa

    inner = unified(one.value_type, other.value_type)
    large = pa.types.is_large_list(one) or pa.types.is_large_list(other)
    return (pa.large_list if large else pa.list_)(pa.field(one.value_field.name, inner))


def _structs(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds two kinds of objects: JSON where they differ in their keys, or in a value's type."""
    import pyarrow as pa

    if {part.name for part in one} != {part.name for part in other}:
        return pa.json_()
    try:
        return pa.struct(
            [
                pa.field(
                    part.name,
                    unified(part.type, other.field(part.name).type),
                    part.nullable or other.field(part.name).nullable,
                )
                for part in one
            ]
        )
    except Unfit:
        return pa.json_()
