"""Compressions one after another: distil, prune, quantize, with the table of what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from potstill.engine.step import Model, Step
from potstill.errors import BadInput, Problem
from potstill.recipes.students import Course
from potstill.steps.evaluation.size_table import SizeTable

Stage = Callable[[Model], Step]
"""Makes the step that takes the model of the stage before, such as `lambda model: QuantizeInt8(model)`."""


class Compressed(Course):
    """The models of a recipe, one a stage; `student` is the last and smallest."""

    def __init__(self, models: Iterable[Step], table: SizeTable) -> None:
        """Hand out `models`, and the `table` of their sizes."""
        super().__init__(models)
        self._table = table

    @property
    def table(self) -> SizeTable:
        """The step that measures the sizes: a row for the first model and one for each stage."""
        return self._table


def Compress(  # noqa: N802 - stands among steps in a pipeline
    model: Model, stages: Mapping[str, Stage], *, budget: float | None = None
) -> Compressed:
    """Return the models that the `stages` make, each of the one before, and the table of their sizes.

    Sizes multiply: a student of a third, pruned to a half and stored in a quarter of the bits is 24 times smaller.
    Losses need not add up, so that several mild compressions can cost less quality than a harsh one (Movva et al. 2022,
    "Combining Compressions for Multiplicative Size Scaling on Natural Language Tasks"). Quantization comes last, as
    nothing here trains or prunes what is quantized. Parts of the recipe that don't depend on each other are shared in
    the store, so that recipes with a common beginning cost it once.

    Args:
        model: where the recipe starts, and what sizes are held against: the teacher.
        stages: what is done, by name and in order; the first may train another student on the teacher's labels.
        budget: how many times smaller than `model` the last one is to be; the table says whether it is.

    Raises:
        BadInput: there are no stages, or one makes no step.

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
    if not stages:
        raise BadInput(Problem("", "stages", 'there are none: name at least one, {"int8": QuantizeInt8}'))
    models: list[Model] = [model]
    made: list[Step] = []
    for name, stage in stages.items():
        step = stage(models[-1])
        if not isinstance(step, Step):
            text = f"{name!r} makes a {type(step).__name__}: let it return a step, lambda model: QuantizeInt8(model)"
            raise BadInput(Problem("", "stages", text))
        made.append(step)
        models.append(step)
    return Compressed(made, SizeTable(tuple(models), stages=("model", *stages), budget=budget))
