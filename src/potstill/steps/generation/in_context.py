"""Steps that show other rows in the prompt of each (Brown et al. 2020, "Language Models are Few-Shot Learners")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Annotated

from annotated_types import Ge

from potstill.engine.step import Estimate, Rows
from potstill.errors import Problem
from potstill.prompts import Template
from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.prompt_columns import prompt_problems
from potstill.teachers.cache.parse_retry import upper_bound


class InContextStep(GenerationStep):
    """Asks each row after `k` others."""

    rows: Rows
    """What is asked."""
    _: KW_ONLY
    k: Annotated[int, Ge(1)] = 8
    """Examples shown."""

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length, and the rows shown as long as answers."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens * (self.k + 2) // 2)


class FewShotStep(InContextStep):
    """Asks each row after `k` that are answered already (few-shot prompting: Brown et al. 2020, section 2)."""

    examples: Rows
    """Rows that are answered already."""
    _: KW_ONLY
    task: str = ""
    """What is to be done, said before the examples."""
    prompt: Template = "few_shot.jinja"
    """Gets `examples` (rows), `task`, and the row's columns."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer; a base model goes on with `Question:`."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("examples",))
