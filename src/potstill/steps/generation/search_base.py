"""Base class of steps that decode by a search, run by transformers."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from potstill.engine.step import Step
from potstill.models.preload import MODEL
from potstill.prompts import Template
from potstill.teachers.search import Method, Search


class SearchStep(Step):
    """Lets an encoder-decoder or a causal model write."""

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    _: KW_ONLY
    prompt: Template = "answer.jinja"
    """Turns a row into a chat, or into an encoder's text; the same as in training."""
    method: Method = "greedy"
    """How an output is searched for."""
    beams: Annotated[int, Ge(2)] = 5
    """Width of a beam: 4 to 10 are usual; Kim and Rush (2016, section 4) took 5."""
    length_penalty: Annotated[float, Ge(0)] = 1.0
    """Power of the length that divides the log-probability: 0 favours short outputs, 1 ranks by the mean."""
    max_tokens: Annotated[int, Ge(1)] = 128
    """Longest output, in tokens."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Type to compute in; `auto` is that of the weights, which is faster on a GPU."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Rows answered side by side; a beam holds as many outputs of each as it is wide."""


def search_of(step: SearchStep) -> Search:
    """Return how `step` searches for an output."""
    return Search(step.method, step.beams, length_penalty=step.length_penalty, max_tokens=step.max_tokens)
