"""Measures of answers that are JSON: whether they are, fit a schema, and how many fields are right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.metrics.answers import canonical, valid_json
from potstill.metrics.measures.measure import CorpusMeasure, Gold, Measure, Row, Score, golds_of, with_options
from potstill.text.json_values import json_values, load_json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


@dataclass(frozen=True)
class ValidJSON(Measure):
    """Whether an answer is one JSON value; `potstill.steps.ValidJSON` is a filter of rows.

    >>> ValidJSON().per_row('{"a": 1}', "", {}), ValidJSON().per_row('Sure: {"a": 1}', "", {})
    (1.0, 0.0)
    """

    is_share: ClassVar[bool] = True
    needs_gold: ClassVar[bool] = False

    among_words: bool = False
    """Whether the value may stand among words or in a code block."""

    @property
    def name(self) -> str:
        """`valid_json`, with the options."""
        return with_options("valid_json", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if it is JSON, else 0."""
        return float(valid_json(answer) or (self.among_words and _value(answer, True) is not _NONE))


@dataclass(frozen=True)
class JSONSchema(Measure):
    """Whether an answer is JSON that fits a schema.

    >>> JSONSchema({"type": "object", "required": ["a"]}).per_row('{"b": 1}', "", {})
    0.0
    """

    is_share: ClassVar[bool] = True
    needs_gold: ClassVar[bool] = False

    schema: Mapping[str, Any]
    """A JSON schema; references to other documents are not followed, and its patterns have a limit of time."""
    among_words: bool = False
    """Whether the value may stand among words or in a code block."""

    @property
    def name(self) -> str:
        """`json_schema`."""
        return "json_schema"

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if it fits, else 0.

        Raises:
            SlowPattern: a pattern of the schema takes too long.
        """
        value = _value(answer, self.among_words)
        try:
            return float(value is not _NONE and _validator(json.dumps(self.schema)).is_valid(value))
        except RecursionError:
            return 0.0


@dataclass(frozen=True)
class JSONFields(CorpusMeasure):
    """Which share of the fields of an object is right; objects within it are looked into, and lists count as a whole.

    Of a row it is the share of the fields that the answer or the right answer has and both have with the same value. Of
    all rows it is that share of all their fields, so that a row with more of them weighs more; `parts` has the share of
    each field. An answer that is no object has none right.

    >>> JSONFields().per_row('{"city": "Ulm", "pop": 1}', '{"city": "Ulm", "pop": {"n": 1}}', {})
    0.3333333333333333
    """

    fields: tuple[str, ...] = ()
    """Fields that count, with full stops where they are in others (`pop.n`); all by default."""
    among_words: bool = False
    """Whether the object may stand among words or in a code block."""

    @property
    def name(self) -> str:
        """`json_fields`, with the options."""
        return with_options("json_fields", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float | None:
        """Return the share of the fields that are right with the nearest right answer; None if none counts.

        Raises:
            ValueError: a right answer is no JSON object.
        """
        right, there = self._nearest(answer, gold)
        return right.total() / there.total() if there else None

    def counts(self, answers: Sequence[str], golds: Sequence[Gold]) -> list[list[float]]:
        """Return the fields that are right and those that there are, of each row."""
        fields = [self._nearest(answer, gold) for answer, gold in zip(answers, golds, strict=True)]
        return [[right.total(), there.total()] for right, there in fields]

    def figure(self, sums: Sequence[float]) -> float:
        """Return the share of the fields that are right."""
        return sums[0] / sums[1] if sums[1] else float("nan")

    def corpus(self, answers: Sequence[str], golds: Sequence[Gold]) -> Score:
        """Return the share of all fields, and of each."""
        right, there = Counter[str](), Counter[str]()
        for answer, gold in zip(answers, golds, strict=True):
            right_here, all_here = self._nearest(answer, gold)
            right.update(right_here)
            there.update(all_here)
        parts = {name: right[name] / count for name, count in sorted(there.items())}
        return Score(self.figure([right.total(), there.total()]), parts=parts)

    def _nearest(self, answer: str, gold: Gold) -> tuple[Counter[str], Counter[str]]:
        """Return which fields are right and which there are, with the right answer of which most are."""
        value = _value(answer, self.among_words)
        answered = dict(_leaves(value)) if isinstance(value, dict) else {}
        return max((self._compared(answered, one) for one in golds_of(gold)), key=_share)

    def _compared(self, answered: Mapping[str, str | None], gold: str) -> tuple[Counter[str], Counter[str]]:
        """Return which fields are right and which there are."""
        gold_value = _value(gold, False)
        if not isinstance(gold_value, dict):
            raise ValueError(f"the right answer is no JSON object: {gold!r:.80}")
        wanted = dict(_leaves(gold_value))
        # fields that the answer makes up count, too: else inventing them would cost nothing
        names = [name for name in {**wanted, **answered} if not self.fields or name in self.fields]
        right = [name for name in names if name in wanted and name in answered and wanted[name] == answered[name]]
        return Counter(right), Counter(names)


def _share(fields: tuple[Counter[str], Counter[str]]) -> float:
    right, there = fields
    return right.total() / there.total() if there else 0.0


_NONE = object()
"""No JSON; null is a value."""


def _value(text: str, among_words: bool) -> Any:
    """Return the JSON value of an answer, or `_NONE`."""
    try:
        return next(json_values(text)) if among_words else load_json(text)
    except ValueError:
        return _NONE


def _leaves(value: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield the path of each field that is no object of fields itself, with its value in one spelling."""
    stack: list[tuple[str, Any]] = list(value.items())[::-1]
    while stack:  # no recursion: a model may nest as deep as the reader of JSON lets it
        path, one = stack.pop()
        if isinstance(one, dict) and one:
            stack += [(f"{path}.{name}", inner) for name, inner in list(one.items())[::-1]]
        else:
            yield path, canonical(json.dumps(one))


@lru_cache(maxsize=32)
def _validator(schema: str) -> Validator:
    """Return the validator of a schema, which fetches nothing."""
    from referencing import Registry

    from potstill.text.schema_patterns import validator_class

    read = json.loads(schema)
    return validator_class(read)(read, registry=Registry())
