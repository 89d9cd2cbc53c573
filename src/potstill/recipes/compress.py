"""Compressions one after another: distil, prune, quantize, with a table of the sizes after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY
from functools import cached_property

from potstill.engine.step import Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.recipes.students import Course
from potstill.steps.evaluation.size_table import SizeTable

Stage = Callable[[Model], Step]
"""Makes the step that takes the model of the stage before, such as `lambda model: QuantizeInt8(model)`."""


class Compress(Course):
    """Make the models of the `stages`, each of the one before, and the table of their sizes.

    Sizes multiply: a student of a third, pruned to a half and stored in a quarter of the bits is 24 times smaller.
    Losses need not add up, so that several mild compressions can cost less quality than a harsh one (Movva et al. 2022,
    "Combining Compressions for Multiplicative Size Scaling on Natural Language Tasks"). Quantization comes last, as
    nothing here trains or prunes what is quantized. Parts of the recipe that don't depend on each other are shared in
    the store, so that recipes with a common beginning cost it once. `student` is the last and smallest model.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}] * 16)
    >>> recipe = Compress(
    ...     student,
    ...     {
    ...         "pruned": lambda model: WidthPrune(model, calibration=rows, intermediate_size=192),
    ...         "distilled": lambda model: SoftLabel(rows, student=model, teacher=student),
    ...         "int4": lambda model: QuantizeInt4(model, calibration=rows),
    ...     },
    ...     budget=2,
    ... )
    >>> [type(step).__name__ for step in recipe], recipe.table.stages
    (['WidthPrune', 'SoftLabel', 'QuantizeInt4'], ('model', 'pruned', 'distilled', 'int4'))
    """

    model: Model
    """Where the recipe starts, and what sizes are compared with: the teacher."""
    stages: Mapping[str, Stage]
    """What is done, by name and in order; the first may train another student on the teacher's labels."""
    _: KW_ONLY
    budget: float | None = None
    """How many times smaller than `model` the last one is to be; the table states whether it is."""

    def __post_init__(self) -> None:
        """Build the steps of the stages.

        Raises:
            BadInput: there are no stages, or one makes no step.
        """
        self._build(self._staged(), self._stage_problems())

    def _stage_problems(self) -> Iterator[Problem]:
        """Yield that there are no stages."""
        if not self.stages:
            yield Problem("", "stages", 'there are none: name at least one, {"int8": QuantizeInt8}')

    def _staged(self) -> Iterator[Step]:
        """Yield the steps of the stages in order.

        Raises:
            BadInput: one makes no step.
        """
        model = self.model
        for name, stage in self.stages.items():
            model = stage(model)
            if not isinstance(model, Step):
                kind = type(model).__name__
                text = f"{name!r} makes a {kind}: let it return a step, lambda model: QuantizeInt8(model)"
                raise BadInput(Problem("", "stages", text))
            yield model

    @cached_property
    def table(self) -> SizeTable:
        """The step that measures the sizes: a row for the first model and one for each stage."""
        # not among the stages: a pipeline that only needs the last model does not run it
        return SizeTable((self.model, *self), stages=("model", *self.stages), budget=self.budget)
