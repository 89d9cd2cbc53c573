"""Shared by in-context steps: examples in the prompt of each row (Brown et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from potstill.engine.step import Estimate
from potstill.errors import BadInput, Problem
from potstill.steps.rows.prompt_columns import item_fields, prompt_columns
from potstill.teachers.cache.parse_retry import upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

GIVEN = ("examples", "task")
"""Template variables that few-shot steps give."""


def few_shot_needs(prompt: str, compared: tuple[str, ...] = ()) -> Mapping[str, Iterable[str]]:
    """Return what the template uses of the rows and of the examples, after the columns that are `compared`."""
    rows, examples = prompt_columns(prompt, GIVEN), item_fields(prompt, "examples")
    return {"rows": (*compared, *rows), "examples": (*compared, *examples)}


def enough(examples: Dataset, k: int) -> None:
    """Check that there are `k` examples.

    Raises:
        BadInput: there are fewer.
    """
    if len(examples) < k:
        raise BadInput(Problem("", "k", f"{k} examples are to be shown, but there are {len(examples)}: lower k"))


def bound_with_shown(rows: int | None, k: int, max_tokens: int) -> Estimate:
    """Return the cost of answers of full length to prompts with `k` rows, each shown as long as an answer."""
    return upper_bound(rows, 1, max_tokens * (k + 2) // 2)
