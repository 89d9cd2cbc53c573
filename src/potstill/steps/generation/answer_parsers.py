"""Parsers of a teacher's answer: one of several choices, a score, JSON, the groups of a regular expression.

Each parser raises ValueError where the text holds no such value; none of them evaluates code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.text.choice import ChoiceReader
from potstill.text.json_values import json_values
from potstill.text.patterns import pattern as compiled_pattern
from potstill.text.reasoning import split_reasoning
from potstill.text.score import ScoreReader

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a parser that finds which of `choices` a text names; see `potstill.text.choice`.

    >>> one_of(["yes", "no"])("**No**, because it rhymes.")
    'no'
    >>> one_of(["A", "B", "tie"])("Both are good, but the better one is [[B]].")
    'B'
    """
    return ChoiceReader(tuple(choices)).read


def score(low: int, high: int) -> Callable[[str], float]:
    """Return a parser of a score from `low` to `high`.

    >>> score(1, 10)("Score: 7/10")
    7.0
    """
    return ScoreReader(low, high).read


def json_value(text: str) -> Any:
    """Return the JSON value that `text` most likely means.

    >>> json_value('Perhaps {"city": "Ulm"}? No: {"city": "Berlin"}')
    {'city': 'Berlin'}
    """
    return next(json_values(text))


def fields(schema: Mapping[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Return a parser of JSON that fits `schema`: the properties of an object, or else `value`.

    Properties that may be left out, and were, are None, so that all rows have the same columns.
    """
    from referencing import Registry

    from potstill.text.schema_patterns import validator_class

    validator = validator_class(schema)(schema, registry=Registry())  # an empty one: nothing is fetched
    names = schema_fields(schema)

    def parse(text: str) -> dict[str, Any]:
        # a text may hold several JSON values, such as a draft: the first that fits the schema counts
        values = list(json_values(text))
        faults = [_fault(validator, value) for value in values]
        if "" not in faults:
            raise ValueError(faults[0])
        value = values[faults.index("")]
        return {name: value.get(name) for name in names} if "properties" in schema else {"value": value}

    return parse


def _fault(validator: Validator, value: object) -> str:
    """Return where and why a value does not fit a schema, or an empty string."""
    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    except RecursionError:
        return "the whole: is nested too deep to be held against the schema"
    return f"{'.'.join(map(str, errors[0].path)) or 'the whole'}: {errors[0].message}" if errors else ""


def schema_fields(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that answers to `schema` give."""
    return tuple(schema["properties"]) if "properties" in schema else ("value",)


def groups(pattern: str) -> Callable[[str], dict[str, Any]]:
    """Return a parser of texts that match `pattern` as a whole: its named groups, or else `value`."""
    compiled = compiled_pattern(pattern)

    def parse(text: str) -> dict[str, Any]:
        # thoughts go first, unless the pattern asks for them
        match = compiled.fullmatch(split_reasoning(text)[1].strip()) or compiled.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"does not match {pattern!r}")
        return match.groupdict() or {"value": match.group()}

    return parse
