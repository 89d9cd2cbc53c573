"""Weight sharing between neighbouring blocks."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.errors import BadInput, Problem
from potstill.models import folder
from potstill.steps.compression.base import FittedStep, draw, publish

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

STORED = "every block written out, since the model type shares none: no smaller and no faster as it is"


class ShareWeights(FittedStep):
    """Give neighbouring blocks the mean of their weights (groups that share, as in ALBERT, Lan et al. 2020, 3.1).

    ALBERT is trained so from the start; a trained model loses much quality by sharing, and has to be trained
    afterwards. Trainers don't tie the blocks: train, then share again what has drifted apart. The folder holds every
    block, because ordinary model types share none; notes and card say what storing each group once would take. With
    every block in a group of its own the model is unchanged.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(ShareWeights(student, calibration=rows, groups=2))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    groups: Annotated[int, Ge(1)] = 1
    """Groups of neighbouring blocks, as equal as can be; ALBERT's default is one."""

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Make the blocks of `model` share and write its folder.

        Raises:
            BadInput: there are fewer blocks than groups, or the calibration is too short.
        """
        from potstill.compression.agreement import compared, outputs
        from potstill.compression.architecture import blocks_of
        from potstill.compression.sharing import grouped, share

        loaded = folder.load(model)
        count = len(blocks_of(loaded.model)[1])
        if self.groups > count:
            raise BadInput(Problem("", "groups", f"the model has {count} blocks, not {self.groups}: take 1 to {count}"))
        drawn = draw(self, loaded, calibration)
        before = outputs(loaded.model, drawn.measured)
        shared = grouped(count, self.groups)
        spared = share(loaded.model, shared)
        # counts every block: the means are copied into each, not tied, since no model type could load that
        total = loaded.model.num_parameters()
        figures = compared(loaded.model, before, outputs(loaded.model, drawn.measured))
        parameters = {"before": total, "stored once": total - spared}
        context.notes |= {"calibration": drawn.figures(), "agreement": figures, "parameters": parameters}
        context.notes |= {"groups": shared, "storage": STORED}
        recipe = {
            "method": "means of neighbouring blocks (as ALBERT shares, Lan et al. 2020)",
            "groups": shared,
            "storage": STORED,
        }
        details = {**{f"calibration {name}": value for name, value in figures.items()}}
        details |= {f"parameters {name}": value for name, value in parameters.items()}
        return publish(loaded, context, f"{self.groups} shared blocks", recipe, details)
