"""What `measures=[...]` of an evaluation adds to the figures of a test set: columns, and what went wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from potstill.reporting.kinds import Figure, Unit, number

PREFIX = "measures."
"""What the names of these figures begin with, in the table of all figures too."""
SHOWN_OTHERWISE = frozenset({"exact_match", "valid_json"})
"""Measures whose figure has a column without them."""
_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def with_measures(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures of a test set with those of its measures among them, each by a name of its own."""
    flat: dict[str, Any] = {}
    for name, figures in _measures(scores):
        flat |= {f"{PREFIX}{name}{end}": figures.get(key) for end, key in _ENDS}
    return {**scores, **flat} if flat else scores


def measure_figures(sets: Iterable[Mapping[str, Any]]) -> list[Figure]:
    """Return the figures of the measures of some test sets, in the order in which they come up."""
    figures: dict[str, Figure] = {}
    for scores in sets:
        for name, one in _measures(scores):
            if name not in SHOWN_OTHERWISE:
                unit: Unit = "share" if one.get("largest") == 1 else "number"
                figures.setdefault(
                    name, Figure(f"{PREFIX}{name}", name, unit, one.get("higher_is_better") is not False)
                )
    return list(figures.values())


def measure_faults(label: str, sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what a reader must know of a model's figures: rows that a measure did not score, and why."""
    for name, scores in sets.items():
        for measure, one in _measures(scores):
            failed, other = number(one, "failed") or 0, number(one, "not_finite") or 0
            errors = [str(text) for text in one.get("errors") or ()][:1]
            first = f" (the first: {errors[0]:.200})" if errors else ""
            if failed or errors:
                text = f"{measure} failed at {failed:.0f} rows of {name} for {label}{first}"
                yield f"{text}; its figure is of the others."
            if other:
                yield f"{measure} gave {other:.0f} rows of {name} no finite score for {label}; they are left out."


def _measures(scores: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the measures of a test set by name."""
    held = scores.get("measures")
    for name, figures in held.items() if isinstance(held, Mapping) else ():
        if isinstance(figures, Mapping):
            yield str(name), figures
