"""What models got wrong, as far as their figures say: the first mistakes, and the classes that are mixed up most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from potstill.reporting.kinds import number
from potstill.reporting.model_table import Measured
from potstill.reporting.number_formats import NONE, count


@dataclass(frozen=True)
class Mistake:
    """One wrong answer."""

    set: str
    """Name of the test set."""
    asked: str
    """What was asked."""
    expected: str
    """The right answer."""
    answered: str
    """What the model answered."""
    is_cut: bool
    """Whether the answer was cut at the limit of tokens."""


@dataclass(frozen=True)
class Mixed:
    """Two classes that a model mixes up."""

    set: str
    """Name of the test set."""
    label: str
    """The right class."""
    predicted: str
    """The class that the model gave."""
    count: str
    """How often, as text."""


@dataclass(frozen=True)
class Wrong:
    """What one model got wrong."""

    label: str
    """Label of the model."""
    is_open: bool
    """Whether the page shows it unfolded."""
    mistakes: tuple[Mistake, ...]
    """The first wrong answers."""
    mixed: tuple[Mixed, ...]
    """The classes that are mixed up most."""

    @property
    def is_any(self) -> bool:
        """Return whether there is anything to show."""
        return bool(self.mistakes or self.mixed)


def wrong_of(model: Measured, best: str) -> Wrong:
    """Return what a model got wrong, as far as its step kept it."""
    listed = [(name, scores.get("mixed_up")) for name, scores in model.sets.items()]
    mixed = tuple(
        Mixed(name, _text(pair, "label"), _text(pair, "predicted"), count(_whole(pair)))
        for name, pairs in listed
        for pair in _mappings(pairs)
    )
    mistakes = tuple(
        Mistake(
            _text(example, "set"),
            _text(example, "instruction"),
            _text(example, "expected"),
            _text(example, "answer"),
            example.get("finish_reason") == "length",
        )
        for example in _mappings(model.metrics.get("examples"))
    )
    return Wrong(model.label, model.label == best, mistakes, mixed)


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    """Return the dicts in a list; none of anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a value as text."""
    value = values.get(name)
    return NONE if value is None else str(value)


def _whole(pair: Mapping[str, Any]) -> int | None:
    """Return how often a pair is mixed up: rows or words, by what was classified."""
    counts = [number(pair, unit) for unit in ("rows", "words")]
    return next((int(value) for value in counts if value is not None), None)
