"""The Arrow type, and the schema, that holds the values of two without changing any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from potstill.engine.rows.objects import is_json
from potstill.engine.rows.types import Unfit, is_bytes, is_list, is_moment, is_number, is_text, said, stored_schema

if TYPE_CHECKING:
    import pyarrow as pa


def common_schema(schemas: Iterable[pa.Schema]) -> tuple[pa.Schema, list[str]]:
    """Return the schema that holds the rows of several, without metadata, and where they don't go together."""
    import pyarrow as pa

    fields: dict[str, pa.Field] = {}
    wrong = []
    for number, schema in enumerate(schemas):
        stored_part, problems = stored_schema(schema)
        wrong += problems
        for part in stored_part:
            earlier = fields.setdefault(part.name, part.with_nullable(True))
            try:
                fields[part.name] = earlier.with_type(unified(earlier.type, part.type))
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
        (is_moment, _moments),
        (is_text, lambda *_: pa.large_string()),
        (is_bytes, lambda a, b: pa.large_binary() if pa.large_binary() in (a, b) else pa.binary()),
        (is_.is_time, lambda *_: pa.time64("ns" if pa.time64("ns") in (one, other) else "us")),
        (is_.is_duration, lambda a, b: pa.duration(_finer(a.unit, b.unit))),
        (is_list, _lists),
        (is_.is_struct, _structs),
    ):
        if same(one) and same(other):
            return together(one, other)
    raise Unfit(f"{said(one)} and {said(other)}")


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
