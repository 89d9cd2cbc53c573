"""Model sizes after each stage of a compression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Step
from potstill.errors import Problem
from potstill.models.card import name_of
from potstill.models.edge import Model
from potstill.models.identity import folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from potstill.engine.context import Context


class SizeTable(Step):
    """Compare the sizes of models that were made of each other: how many times smaller each stage made it.

    A row a model: its weights in bytes, its parameters, those that are not zero, and bits a parameter, scales included,
    all measured on the files; how many times smaller than the one before (`factor`) and than the first (`times`), which
    is the product of the factors up to there. What Export and ExportEncoder wrote is measured too, but for parameters.

    >>> show(SizeTable([student, QuantizeInt8(student)], stages=("dense", "int8"), budget=1.5))
    {'stage': 'dense', ... 'factor': 1.0, 'times': 1.0, 'within_budget': False}
    {'stage': 'int8', ... 'factor': 1..., 'times': 1..., 'within_budget': True}
    """

    models: Sequence[Model]
    """The models in the order in which they were made; the first is the one that all are held against."""
    _: KW_ONLY
    stages: tuple[str, ...] = ()
    """What they are called; empty takes what their cards do."""
    budget: Annotated[float, Ge(1)] | None = None
    """How many times smaller than the first is wanted; None wants nothing."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch",)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the models and their names."""
        if not self.models:
            yield Problem("", "models", "there are none: give the model that was compressed, and what it became")
        if self.stages and len(self.stages) != len(self.models):
            text = f"{len(self.stages)} names for {len(self.models)} models: give one for each"
            yield Problem("", "stages", text)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str]:
        """Return the columns of the table."""
        columns = ("stage", "bytes", "parameters", "nonzero_parameters", "bits", "factor", "times")
        return frozenset((*columns, *(("within_budget",) if self.budget is not None else ())))

    def run(self, models: Sequence[Any], context: Context) -> list[dict[str, Any]]:
        """Return the rows.

        Raises:
            BadInput: one of them is no model.
        """
        from potstill.models.footprint import footprint

        folders = [folder_of(model, exports=True) for model in models]
        sizes = [footprint(folder) for folder in folders]
        names = self.stages or tuple(name_of(folder) for folder in folders)
        rows = []
        for number, (name, size) in enumerate(zip(names, sizes, strict=True)):
            # the first is compared with itself: its factor is 1
            before = sizes[max(number - 1, 0)]
            times = sizes[0].weights_bytes / size.weights_bytes
            row = {
                "stage": name,
                "bytes": size.weights_bytes,
                "parameters": size.parameters,
                "nonzero_parameters": size.nonzero_parameters,
                "bits": None if size.bits_per_weight is None else round(size.bits_per_weight, 2),
                "factor": before.weights_bytes / size.weights_bytes,
                "times": times,
            }
            rows.append(row | ({} if self.budget is None else {"within_budget": times >= self.budget}))
        context.notes["times_smaller"] = round(sizes[0].weights_bytes / sizes[-1].weights_bytes, 2)
        context.ledger.keep(len(rows))
        return rows
