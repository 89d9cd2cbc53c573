"""Steps that drop rows; each says in the ledger why a row went."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.errors import Problem
from potstill.step import Estimate, Rows, Step

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context


def kept(
    rows: Iterable[Mapping[str, Any]], context: Context, objection: Callable[[Mapping[str, Any]], str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows to which there is no `objection`; the others go to the ledger with it as the reason."""
    for number, row in enumerate(rows):
        reason = objection(row)
        if reason:
            context.ledger.lose(str(row.get("id", number)), "filtered", reason)
        else:
            context.ledger.keep()
            yield dict(row)


class FilterRows(Step):
    """Keeps the rows that a function of one's own says yes to."""

    rows: Rows
    """Rows to choose from."""
    _: KW_ONLY
    keep: Callable[[Mapping[str, Any]], bool]
    """Gets a row, says whether it stays; its code is part of the key."""
    reason: str = "dropped by keep"
    """What the counts call the rows that went."""

    makes: ClassVar[str] = "rows"

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows that stay."""
        return kept(rows, context, lambda row: "" if self.keep(row) else self.reason)


class ValidJSON(Step):
    """Keeps rows whose text is one JSON object."""

    rows: Rows
    """Rows to choose from."""
    _: KW_ONLY
    column: str = "output"
    """Where the text is."""
    keys: tuple[str, ...] = ()
    """Keys that the object must have; others may be there too unless `exact`."""
    exact: bool = False
    """Whether it may have no other keys."""

    makes: ClassVar[str] = "rows"

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is read."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows that stay."""
        return kept(rows, context, lambda row: json_problem(row[self.column], self.keys, self.exact))


def json_problem(text: Any, keys: tuple[str, ...] = (), exact: bool = False) -> str:
    """Return why `text` is no JSON object with these `keys`, or nothing."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, TypeError, RecursionError):
        return "invalid JSON"
    if not isinstance(value, dict):
        return "JSON, but no object"
    if not set(keys) <= value.keys():
        return "JSON object lacks a key"
    return "JSON object has another key" if exact and value.keys() - set(keys) else ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class Deduplicate(Step):
    """Keeps the first of several rows that say the same, whatever their case, spacing and punctuation."""

    rows: Rows
    """Rows to choose from."""
    _: KW_ONLY
    fields: tuple[str, ...] = ("instruction",)
    """Columns that must agree for two rows to be the same."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if not self.fields:
            yield Problem("", "fields", "names no column: give at least one")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared."""
        return {"rows": self.fields}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the first row of each kind; 16 bytes a row are remembered."""
        seen: set[bytes] = set()

        def objection(row: Mapping[str, Any]) -> str:
            mark = _mark("\0".join(normal(row[name]) for name in self.fields))
            if mark in seen:
                return "duplicate"
            seen.add(mark)
            return ""

        return kept(rows, context, objection)


class Decontaminate(Step):
    """Drops rows that overlap with a test set, so that what is measured was not trained on."""

    rows: Rows
    """Rows to choose from."""
    _: KW_ONLY
    against: Rows | list[Rows]
    """Test sets."""
    column: str = "instruction"
    """Column that is compared, on both sides."""
    ngram: Annotated[int, Ge(0)] = 0
    """0 drops texts equal to one of the test set; n also those that share n words in a row with one (Brown et al.
    2020, appendix C, used 13 for long texts)."""

    makes: ClassVar[str] = "rows"

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is compared."""
        return {"rows": (self.column,), "against": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        return inputs.get("rows")

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, against: Dataset | list[Dataset], context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows that overlap with none of the test sets."""
        tests = against if isinstance(against, (list, tuple)) else [against]
        whole: set[bytes] = set()
        parts: set[bytes] = set()
        for test in tests:
            for text in test[self.column]:
                words = normal(text).split()
                whole.add(_mark(" ".join(words)))
                parts.update(_ngrams(words, self.ngram))

        def objection(row: Mapping[str, Any]) -> str:
            words = normal(row[self.column]).split()
            if _mark(" ".join(words)) in whole:
                return "in the test set"
            overlaps = any(mark in parts for mark in _ngrams(words, self.ngram))
            return f"shares {self.ngram} words in a row with the test set" if overlaps else ""

        return kept(rows, context, objection)


def normal(text: Any) -> str:
    """Return `text` in lower case, without punctuation and accents of form, with single spaces.

    >>> normal("  Turn ON the light, please! ")
    'turn on the light please'
    """
    folded = unicodedata.normalize("NFKC", str(text)).casefold()
    return " ".join(re.sub(r"[^\w]+|_", " ", folded).split())


def _ngrams(words: list[str], n: int) -> Iterator[bytes]:
    """Yield the marks of all n words in a row."""
    if n:
        yield from (_mark(" ".join(words[start : start + n])) for start in range(len(words) - n + 1))


def _mark(text: str) -> bytes:
    """Return 16 bytes that stand for `text`."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
