"""Base classes of steps that ask a teacher: the teacher, the failure limit, and the sampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Annotated, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.engine.step import Estimate, Placement, Step, Trial
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.teachers.cache.forecast import still_to_ask
from potstill.teachers.cache.response_cache import teacher_problems
from potstill.teachers.placement import placed


class AskingStep(Step):
    """Asks a teacher many questions, some of which may stay without an answer; a subclass says which.

    It runs where the teacher does: in a process of its own, or in that of the run if the teacher loads no model there.
    """

    version: ClassVar[int] = 2  # thoughts are no part of an answer, which is read to its end
    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    _: KW_ONLY
    teacher: Model
    """Who is asked."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost to failures; what is dropped on purpose is none."""
    seed: int = 0
    """Of all that is drawn: answers above temperature 0, second tries, and what the step chooses by chance. The same
    question with the same seed gets the same answer."""

    def placement(self) -> Placement:
        """Return where the teacher runs."""
        return placed(self.teacher, super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        yield from teacher_problems(self.teacher)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the requests that the journal lacks, with their prompts' tokens and the teacher's price."""
        return still_to_ask(self, rows, trial)


class GenerationStep(AskingStep):
    """Asks for answers that are columns as they are; `answer_column.py` has what these steps share."""

    _: KW_ONLY
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest answer, in tokens."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer."""
    keep_cut: bool = False
    """Whether answers cut at `max_tokens` stay, with the finish reason `length`."""
    reasoning: str = ""
    """Column of what the teacher thought before each answer; empty leaves the thoughts out."""

    # the field came later: at its default it must not change the keys of older stores
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"reasoning"})
