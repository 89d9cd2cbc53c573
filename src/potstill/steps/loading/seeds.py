"""Load seed tasks from a JSON or JSONL file; every problem in the file is reported with its line and field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from potstill.engine.encoding import File
from potstill.engine.rows.dicts import checked
from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem
from potstill.text.json_values import float_of

MOST_PROBLEMS = 20
"""Problems shown; more are only counted."""
KINDS = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


class LoadSeeds(Step):
    """Reads seed tasks; the format of Self-Instruct (`instances`) becomes a row an instance.

    A missing `id` is made from the row's number.

    >>> _ = Path("seeds.jsonl").write_text('{"instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}]}')
    >>> show(LoadSeeds("seeds.jsonl"))
    {'instruction': 'Add.', 'input': '1 1', 'output': '2', 'id': 'seed-1'}
    """

    path: File
    """JSONL (an object a line) or JSON (a list of objects)."""
    _: KW_ONLY
    fields: tuple[str, ...] = ("instruction",)
    """Fields that every row must have as a text that is not empty."""

    version: ClassVar[int] = 2  # instances are texts
    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the file."""
        yield from (Problem("", "path", text) for text in self._read().problems)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the fields of the file."""
        return frozenset(name for row in self._read().rows for name in row) or None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of the file."""
        return Estimate(rows=len(self._read().rows))

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the rows.

        Raises:
            BadInput: anything is wrong with the file.
        """
        read = self._read()
        if read.problems:
            raise BadInput(*(Problem("", "path", text) for text in read.problems))
        names = list(dict.fromkeys(name for row in read.rows for name in row))
        yield from ({name: row.get(name) for name in names} for row in read.rows)

    def _read(self) -> Reading:
        return read_seeds(Path(self.path), self.fields)


@dataclass
class Reading:
    """What a file holds."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """The rows that are right."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with the others."""


def read_seeds(path: Path, required: tuple[str, ...]) -> Reading:
    """Read a file of seed tasks; each row must have the `required` fields, in the same types as the others."""
    reading = Reading()
    try:
        # some editors put a byte order mark in front, which is no JSON
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Reading(problems=[f"{path} can't be read as UTF-8 text: {error}"])
    places: dict[str, str] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for place, record in _records(text, path, reading.problems):
        wrong = _wrong_fields(record, required)
        rows = [] if wrong else list(_with_instances(record))
        for number, row in enumerate(rows):
            row["id"] = _identifier(row.get("id"), len(reading.rows) + 1, number)
            if row["id"] in places:
                wrong.append(f"id {row['id']!r} was used in {places[row['id']]} already")
            places.setdefault(row["id"], place)
            wrong += _other_kinds(row, kinds, place)
            try:
                checked(row)
            except ValueError as error:
                wrong.append(str(error))
            reading.rows.append(row)
        reading.problems += [f"{path}, {place}: {message}" for message in wrong]
    if not reading.rows and not reading.problems:
        reading.problems.append(f"{path} holds no rows: give at least one object with {', '.join(required)}")
    if len(reading.problems) > MOST_PROBLEMS:
        more = len(reading.problems) - MOST_PROBLEMS
        reading.problems[MOST_PROBLEMS:] = [f"{path}: {more} more problems like these"]
    return reading


def _records(text: str, path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) for each row; places are lines, or items of a JSON list."""
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text, parse_float=float_of(text))
            yield from ((f"item {number}", value) for number, value in enumerate(items, 1))
        except json.JSONDecodeError as error:
            problems.append(f"{path}, line {error.lineno}: not valid JSON: {error.msg} (column {error.colno})")
        except (ValueError, RecursionError) as error:
            problems.append(f"{path} can't be read: {_oddity(error)}")
        return
    # not `splitlines`, which would also split at U+2028 within a JSON string
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=float_of(line))
        except json.JSONDecodeError as error:
            problems.append(f"{path}, line {number}: not valid JSON: {error.msg} (column {error.colno}): {line:.60}")
            continue
        except (ValueError, RecursionError) as error:
            problems.append(f"{path}, line {number}: can't be read: {_oddity(error)}: {line:.60}")
            continue
        yield f"line {number}", value


def _oddity(error: Exception) -> str:
    """Return why JSON that is valid can't be read."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _wrong_fields(record: object, required: tuple[str, ...]) -> list[str]:
    """Return what is wrong with one record."""
    if not isinstance(record, dict):
        return [f"a row must be an object with {', '.join(required)}, got {record!r:.60}"]
    wrong = []
    for name in required:
        if name not in record:
            have = ", ".join(record) or "nothing"
            wrong.append(f"no field {name!r} (it has {have}); add it, or name the fields that count with fields=")
        elif not isinstance(record[name], str) or not record[name].strip():
            wrong.append(f"field {name!r} must be a text that is not empty, got {record[name]!r:.60}")
    instances = record.get("instances", [])
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        wrong.append(f"field 'instances' must be a list of objects with input and output, got {instances!r:.60}")
        return wrong
    for number, instance in enumerate(instances, 1):
        place = f" of instance {number}" if len(instances) > 1 else ""
        for name, allowed in (("input", (str, type(None))), ("output", (str,))):
            if not isinstance(instance.get(name, ""), allowed):
                wrong.append(f"field {name!r}{place} must be a text, got {instance[name]!r:.60}")
    return wrong


def _with_instances(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the record, or with Self-Instruct's `instances` a row for each, with `input` and `output`."""
    if not record.get("instances"):
        yield {name: value for name, value in record.items() if name != "instances"}
        return
    plain = {name: value for name, value in record.items() if name != "instances"}
    for instance in record["instances"]:
        yield {**plain, "input": instance.get("input") or "", "output": instance.get("output", "")}


def _identifier(value: object, number: int, instance: int) -> str:
    """Return the id of a row as a text."""
    name = f"seed-{number}" if value is None else str(value)
    return f"{name}#{instance + 1}" if instance else name


def _other_kinds(row: Mapping[str, Any], kinds: dict[str, tuple[str, str]], place: str) -> list[str]:
    """Return the fields whose type differs from that of an earlier row: a column has one type."""
    wrong = []
    for name, value in row.items():
        if value is None:
            continue
        kind = KINDS[type(value)]
        first, where = kinds.setdefault(name, (kind, place))
        if first != kind:
            wrong.append(f"field {name!r} is {kind} here and {first} in {where}")
    return wrong
