"""What a teacher's text says: one of several choices, a score, JSON, the groups of a regular expression.

Each parser raises ValueError where the text says none of it; none of them evaluates anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

FENCE = re.compile(r"```[\w+-]*\n?(.*?)```", re.DOTALL)
"""A block of code in Markdown."""
AROUND = " \t\r\n*_`\"'.:;,!()[]{}"
"""What may stand around a choice."""
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
"""A number that is no part of a word."""


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a parser that finds which of `choices` a text says.

    It is the whole text, or its beginning, or the only one that occurs in it. Case counts only for single letters,
    which would otherwise be found in any sentence.

    >>> one_of(["yes", "no"])("**No**, because it rhymes.")
    'no'
    >>> one_of(["A", "B", "tie"])("Both are good, but the better one is [[B]].")
    'B'
    """
    patterns = {choice: _whole(choice) for choice in choices}

    def parse(text: str) -> str:
        plain = text.strip(AROUND)
        whole = [choice for choice in choices if plain.casefold() == choice.casefold()]
        opening = [choice for choice, pattern in patterns.items() if pattern.match(plain)]
        inside = [choice for choice, pattern in patterns.items() if pattern.search(plain)]
        for found in (whole, sorted(opening, key=len)[-1:], inside):
            if len(found) == 1:
                return found[0]
        raise ValueError(f"says {' and '.join(inside) or 'none'} of {', '.join(choices)}")

    return parse


def _whole(choice: str) -> re.Pattern[str]:
    """Return the pattern of a choice as a whole word."""
    return re.compile(rf"(?<!\w){re.escape(choice)}(?!\w)", 0 if len(choice) == 1 else re.IGNORECASE)


def score(low: int, high: int) -> Callable[[str], float]:
    """Return a parser of a score from `low` to `high`.

    >>> score(1, 10)("Score: 7/10")
    7.0
    """

    def parse(text: str) -> float:
        plain = re.sub(rf"(?:/|\bout of\b)\s*{high}(?!\d)", " ", text)
        found = {float(number) for number in NUMBER.findall(plain)}
        if len(found) != 1:
            raise ValueError(f"holds {len(found) or 'no'} numbers where one score is wanted")
        value = found.pop()
        if not low <= value <= high:
            raise ValueError(f"the score {value:g} is not within {low} to {high}")
        return value

    return parse


def json_value(text: str) -> Any:
    """Return the JSON value in `text`, which may stand in a Markdown fence or in a sentence.

    >>> json_value('Here it is: {"city": "Ulm"} - anything else?')
    {'city': 'Ulm'}
    """
    fenced = FENCE.search(text)
    plain = (fenced.group(1) if fenced else text).strip()
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    try:
        return json.loads(plain, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("JSON is nested too deep") from error
    except ValueError:
        start = re.search(r"[{\[]", plain)
        if start is None:
            raise
    return decoder.raw_decode(plain, start.start())[0]


def _no_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    raise ValueError(f"{name} is no JSON")


def fields(schema: Mapping[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Return a parser of JSON that fits `schema`: the properties of an object, or else `value`.

    Properties that may be left out, and were, are None, so that all rows have the same columns.
    """
    from jsonschema.validators import validator_for
    from referencing import Registry

    validator = validator_for(schema)(schema, registry=Registry())  # an empty one: nothing is fetched
    names = schema_fields(schema)

    def parse(text: str) -> dict[str, Any]:
        value = json_value(text)
        wrong = next(iter(sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))), None)
        if wrong is not None:
            place = ".".join(map(str, wrong.path)) or "the whole"
            raise ValueError(f"{place}: {wrong.message}")
        return {name: value.get(name) for name in names} if "properties" in schema else {"value": value}

    return parse


def schema_fields(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that answers to `schema` give."""
    return tuple(schema["properties"]) if "properties" in schema else ("value",)


def groups(pattern: str) -> Callable[[str], dict[str, Any]]:
    """Return a parser of texts that match `pattern` as a whole: its named groups, or else `value`."""
    compiled = re.compile(pattern)

    def parse(text: str) -> dict[str, Any]:
        found = compiled.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"does not match {pattern!r}")
        return found.groupdict() or {"value": found.group()}

    return parse
