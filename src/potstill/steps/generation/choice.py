"""Steps whose teacher gives one of a few answers to each question: yes or no, a grade, the better of two texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Annotated, Any

from annotated_types import Ge

from potstill.errors import Problem
from potstill.prompts import Template
from potstill.steps.generation.base import AskingStep
from potstill.steps.generation.constraints import held_to
from potstill.steps.rows.prompt_columns import prompt_problems
from potstill.teachers.cache.parse_retry import Tries
from potstill.teachers.protocol import Sampling


class ChoiceStep(AskingStep):
    """Asks until the answer says one of the choices; the first try is greedy."""

    _: KW_ONLY
    structured: bool = True
    """Whether a teacher that can is held to the choices while it writes; otherwise they are found in what it says."""
    max_tokens: Annotated[int, Ge(1)] = 64
    """Longest answer, in tokens."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that says none of the choices is asked for; after the first, greedy one, at temperature 0.7."""

    def tries(self, choices: tuple[str, ...], teacher: Any) -> Tries:
        """Return how `teacher` is asked for one of `choices`."""
        sampling = Sampling(max_tokens=self.max_tokens, structured=held_to(choices, teacher, self.structured))
        return Tries(sampling, self.max_tries, self.seed)


class JudgeStep(ChoiceStep):
    """Has the teacher judge pairs of texts; rows without a verdict are lost."""

    _: KW_ONLY
    criterion: str = "The better answer is more helpful, correct and to the point."
    """What makes one better."""
    prompt: Template = "judge_pair.jinja"
    """Gets `first`, `second` and `criterion`, and the row's columns; asks for A, B or tie."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("first", "second"))
