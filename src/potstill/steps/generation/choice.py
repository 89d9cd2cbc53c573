"""Base class of steps whose teacher gives one of a few answers: yes or no, a grade, the better of two texts."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, ClassVar

from annotated_types import Ge

from potstill.steps.generation.base import AskingStep
from potstill.steps.generation.constraints import held_to
from potstill.teachers.cache.parse_retry import Tries
from potstill.teachers.protocol import Sampling


class ChoiceStep(AskingStep):
    """Asks until the answer names one of the choices; the first try is greedy."""

    version: ClassVar[int] = 3  # an answer that speaks of itself is no choice

    _: KW_ONLY
    structured: bool = True
    """Whether decoding is constrained to the choices where the teacher can; else they are parsed from the answer."""
    max_tokens: Annotated[int, Ge(1)] = 64
    """Longest answer, in tokens."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that names none of the choices is asked for; after the first, greedy one, at temperature 0.7."""


def tries_for_choice(step: ChoiceStep, choices: tuple[str, ...], teacher: object) -> Tries:
    """Return how `step` asks `teacher` for one of `choices`."""
    sampling = Sampling(max_tokens=step.max_tokens, structured=held_to(choices, teacher, step.structured))
    return Tries(sampling, step.max_tries, step.seed)
