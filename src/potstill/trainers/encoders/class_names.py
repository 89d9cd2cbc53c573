"""The classes of a classifier: their names in order, and a teacher's probabilities of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.labelling.class_names import named

if TYPE_CHECKING:
    from datasets import Dataset

SOFT = "probabilities"
"""Column with a teacher's probabilities of the classes."""
MOST_NAMED = 10
"""Labels that a message names; more are only counted."""


def shares(row: Mapping[str, Any], label: int, names: Sequence[str]) -> list[float]:
    """Return the teacher's probabilities of the classes in a row; without any the `label` has probability 1.

    Raises:
        BadInput: they are not one probability for each class.
    """
    probabilities = row[SOFT]
    if probabilities is None:
        return [float(number == label) for number in range(len(names))]
    name = f"row {row.get('id', '')!r}"
    if isinstance(probabilities, Mapping):
        strange = sorted(set(probabilities) - set(names))
        if strange:
            raise BadInput(f"{name}: {SOFT} names {listed(strange)}, which are no classes: add them to classes=")
        probabilities = [probabilities.get(each) or 0.0 for each in names]
    if len(probabilities) != len(names):
        raise BadInput(f"{name}: {len(probabilities)} {SOFT} for {len(names)} classes: name all of them in classes=")
    total = math.fsum(probabilities)
    if min(probabilities) < 0 or not math.isclose(total, 1.0, abs_tol=0.01):
        raise BadInput(f"{name}: {SOFT} must be at least 0 and add up to 1, got {list(probabilities)!r:.120}")
    # rounded in a file, they add up to 1 but for a percent
    return [value / total for value in probabilities]


def occurring(rows: Dataset, label: str) -> tuple[list[str], list[str]]:
    """Return the labels in the column `label`, in order, and the classes that stored probabilities are of.

    A teacher's probabilities name all of its classes; some may be the most probable one of no row.
    """
    labels = ordered(rows.unique(label)) if label in rows.column_names else []
    if SOFT not in rows.column_names:
        return labels, []
    objects = (one for one in rows[SOFT] if isinstance(one, Mapping))
    return labels, ordered({name for one in objects for name in one})


def ordered(labels: Iterable[Any]) -> list[str]:
    """Return the names of classes in order: whole numbers by value, everything else by name.

    >>> ordered([10, 9, None]), ordered(["b", "a", " "])
    (['9', '10'], ['a', 'b'])
    """
    names = {str(label) for label in labels if named(label)}
    return sorted(names, key=found_order(names))


def found_order(names: Iterable[str]) -> Callable[[str], Any]:
    """Return the key by which these names of classes are sorted: as numbers if all are."""
    return int if all(name.lstrip("-").isdecimal() for name in names) else str


def chosen(
    labels: Sequence[str], stored: Sequence[str], own: Sequence[str], teachers: Sequence[str] | None, column: str
) -> list[str]:
    """Return the names of all classes in order: the student's `own`, else the teacher's, else those in the rows.

    Args:
        labels: those in the rows' `column`.
        stored: classes that the rows' probabilities name.
        own: what `classes=` says.
        teachers: classes of a teacher that reads beside the student.
        column: of the labels.

    Raises:
        BadInput: there are fewer than two, the teacher's differ, or the rows have labels that are none of them.
    """
    if teachers is not None and own and set(own) != set(teachers):
        raise BadInput(f"classes= and the teacher's classes differ: {_difference(own, teachers)}; leave classes= out")
    names = ordered(own or teachers or {*labels, *stored})
    if len(names) < 2:
        raise BadInput(f"the column {column!r} names fewer than two classes: {names}")
    strange = [name for name in labels if name not in set(names)]
    if strange:
        remedy = "add them to classes=, or leave the rows out"
        if teachers is not None:
            remedy = "leave the rows out, or take a teacher that was trained for them"
        raise BadInput(f"the column {column!r} has labels that are no classes: {listed(strange)}; {remedy}")
    return names


def _difference(student: Iterable[str], teachers: Iterable[str]) -> str:
    """Return which names only one side has."""
    only_given, only_teacher = sorted(set(student) - set(teachers)), sorted(set(teachers) - set(student))
    parts = (("only in classes=", only_given), ("only the teacher has", only_teacher))
    return "; ".join(f"{where} {listed(names)}" for where, names in parts if names)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
