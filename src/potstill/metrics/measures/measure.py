"""What a measure is: a name, a score of each row, and for some a figure of all rows that is not the mean."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

Gold = str | Sequence[str]
"""The right answer of a row, or several of which each is right."""
Row = Mapping[str, Any]
"""The other columns of a test row."""
_Value = TypeVar("_Value", int, float, bool)


@dataclass(frozen=True)
class Score:
    """The figure of all rows."""

    value: float
    """The figure, on the scale of its measure."""
    signature: str = ""
    """How it was computed, as one reports it beside the figure (Post 2018); empty where there is only one way."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Figures of its parts, such as the fields of an object."""


@runtime_checkable
class Measure(Protocol):
    """What scores the answers to test rows; its subclasses are frozen dataclasses, whose fields are its options."""

    is_share: ClassVar[bool] = False
    """Whether each score is 0 or 1, so that their mean is a share."""
    higher_is_better: ClassVar[bool] = True
    """Which of two figures is the better one."""
    largest: ClassVar[float | None] = 1.0
    """The best score there is, or the worst one where lower is better; None where there is no bound."""
    smallest: ClassVar[float | None] = 0.0
    """The other end of the scale; None where there is none."""
    needs_gold: ClassVar[bool] = True
    """Whether a row without a right answer has no score."""

    @property
    def name(self) -> str:
        """What its figure is called."""
        ...

    def per_row(self, answer: str, gold: Gold, row: Row) -> float | None:
        """Return the score of one answer; None where the measure says nothing of it."""
        ...


@runtime_checkable
class CorpusMeasure(Measure, Protocol):
    """A measure whose figure of all rows is no mean: it is computed from sums over the rows.

    That it is made of sums lets a bootstrap resample rows without comparing a text again.
    """

    def counts(self, answers: Sequence[str], golds: Sequence[Gold]) -> list[list[float]]:
        """Return what is to be summed, of each row; all rows have as many numbers."""
        ...

    def figure(self, sums: Sequence[float]) -> float:
        """Return the figure that the sums over some rows make."""
        ...

    def corpus(self, answers: Sequence[str], golds: Sequence[Gold]) -> Score:
        """Return the figure of all rows."""
        ...


@dataclass(frozen=True)
class FunctionMeasure(Measure):
    """A user's own function as a measure.

    >>> FunctionMeasure(lambda answer, gold: answer[:1] == gold[:1]).per_row("yes", "yeah", {})
    True
    """

    largest: ClassVar[float | None] = None
    smallest: ClassVar[float | None] = None

    function: Callable[..., float | bool | None]
    """Gets the answer, the right answer (a list if the row has several) and, if it takes a third argument, the row."""

    @property
    def name(self) -> str:
        """The function's own name."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def per_row(self, answer: str, gold: Gold, row: Row) -> float | None:
        """Return what the function says; a bool stays one, so that the mean of bools is known for a share.

        Raises:
            TypeError: it returns something else than a number, a bool or None.
        """
        value = self.function(*(answer, gold, row)[: _positions(self.function)])
        if value is None:
            return None
        if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
            raise TypeError(f"{self.name} returned {value!r:.80}, which is no number")
        return bool(value) if _is_bool(value) else float(value)


def as_measure(value: Measure | Callable[..., float | bool | None]) -> Measure:
    """Return `value` itself if it is a measure, else the function as one.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, type) or not (isinstance(value, Measure) or callable(value)):
        what = f"the class {value.__name__}: call it, {value.__name__}()" if isinstance(value, type) else f"{value!r}"
        raise TypeError(f"a measure is one of potstill.metrics or a function of answer and gold, not {what}")
    return value if isinstance(value, Measure) else FunctionMeasure(value)


def golds_of(gold: Gold | None) -> tuple[str, ...]:
    """Return the right answers of a row; none if there is no text among them.

    >>> golds_of("a"), golds_of(["a", "b"]), golds_of(None)
    (('a',), ('a', 'b'), ())
    """
    if gold is None:
        return ()
    return (gold,) if isinstance(gold, str) else tuple(one for one in gold if one is not None)


def best(compare: Callable[[str, str], _Value], answer: str, gold: Gold) -> float:
    """Return the highest of what `compare` says of the answer and each of the right ones."""
    return float(max(compare(answer, one) for one in golds_of(gold)))


def with_options(name: str, measure: object) -> str:
    """Return the name of a measure with those of its options that are not the usual ones.

    >>> from potstill.metrics.measures.matching import ExactMatch
    >>> with_options("exact_match", ExactMatch(ignore=("case", "space")))
    'exact_match(ignore=case+space)'
    """
    own = cast(Any, measure)
    fields = dataclasses.fields(own)
    changed = [(one.name, getattr(own, one.name)) for one in fields if getattr(own, one.name) != one.default]
    listing = ", ".join(f"{option}={_option(value)}" for option, value in changed)
    return f"{name}({listing})" if listing else name


def _option(value: object) -> str:
    """Return an option's value as it stands in a name."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_bool(value: object) -> bool:
    """Return whether a value is a bool, of Python or NumPy."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"


def _positions(function: Callable[..., object]) -> int:
    """Return how many of answer, gold and row a function takes: three, or the first two."""
    try:
        kinds = [one.kind for one in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # a builtin that says nothing of itself
        return 2
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 3
    return 3 if sum(kind.name.startswith("POSITIONAL") for kind in kinds) >= 3 else 2
