"""What `measures=[...]` of an evaluation adds to the figures of a test set: columns, and what went wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from potstill.reporting.kinds import Figure, Unit, number
from potstill.reporting.number_formats import listing

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


def measure_faults(models: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]]) -> Iterator[str]:
    """Yield what a reader must know of figures: rows that a measure did not score, and why.

    Args:
        models: label of each model, and its figures by test set; what is the same for several is said once.
    """
    labels: dict[tuple[str, str], list[str]] = {}
    for label, sets in models:
        for name, scores in sets.items():
            for measure, one in _measures(scores):
                for fault in _faults(measure, one, name):
                    labels.setdefault(fault, []).append(label)
    for (what, rest), own in labels.items():
        yield f"{what} for {listing(own)}{rest}"


def _faults(measure: str, figures: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with one measure on the test set `name`: what stands before the models, and after them."""
    failed, other = number(figures, "failed") or 0, number(figures, "not_finite") or 0
    errors = [str(text) for text in figures.get("errors") or ()][:1]
    if failed or errors:
        first = f" (the first: {errors[0]:.200})" if errors else ""
        rest = "its figure is of the others" if number(figures, "n") else "so it has no figure"
        yield f"{measure} failed at {failed:.0f} rows of {name}", f"{first}; {rest}."
    if other:
        yield f"{measure} gave {other:.0f} rows of {name} no finite score", "; they are left out."


def _measures(scores: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the measures of a test set by name."""
    held = scores.get("measures")
    for name, figures in held.items() if isinstance(held, Mapping) else ():
        if isinstance(figures, Mapping):
            yield str(name), figures
