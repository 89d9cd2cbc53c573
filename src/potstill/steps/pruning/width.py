"""Width pruning by activations (Minitron)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.models import folder
from potstill.steps.pruning.structured import SizedStep, can_narrow, publish_cut, remember, wanted

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.activation_importance import Activity
    from potstill.compression.pruning.shapes import Shape
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class WidthPrune(SizedStep):
    """Cut the feed-forward units, heads and hidden channels that are least active (Minitron).

    Muralidharan et al. 2024, "Compact Language Models via Pruning and Knowledge Distillation", section 2.2. One forward
    pass over the calibration: the mean absolute activation over a text, then the L2 norm over the texts. Every block
    keeps as many, so that the folder is an ordinary smaller model. Cut at once the model is hurt: train it with
    `recover`, as the paper does by distillation; beyond a third of the parameters prune and train in turns. Heads of
    Qwen2, GPT-2 and BERT go only together with `hidden_size`, since their config has no size of a head.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(WidthPrune(student, calibration=rows, intermediate_size=192, heads=2))
    {'parameters': 656768, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    hidden_size: Annotated[int, Ge(1)] | None = None
    """Hidden channels that stay, the same in all blocks; `None` keeps all. They are the dearest to lose."""

    def sizes(self) -> dict[str, int | None]:
        """Return the sizes that are given, by field."""
        return {**super().sizes(), "hidden_size": self.hidden_size}

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Cut `model` and write its folder.

        Raises:
            BadInput: the sizes don't fit the model, or the calibration is too short.
        """
        from potstill.compression.pruning.activation_importance import activity

        loaded = folder.load(model)
        original = remember(self, loaded, calibration)
        new = wanted(self, loaded, original.shape)
        if new.hidden != original.shape.hidden:
            can_narrow(loaded)
        cut_least_active(loaded.model, activity(loaded.model, original.drawn.batches()), original.shape, new)
        recipe = {"method": "least active widths cut (Minitron, Muralidharan et al. 2024)", "aligned to": self.align}
        return publish_cut(loaded, original, context, "narrower", recipe)


def cut_least_active(model: PretrainedModel, activity: Activity, old: Shape, new: Shape) -> None:
    """Cut `model` from the sizes `old` to `new`, by the activity that was measured."""
    from potstill.compression.pruning.activation_importance import best
    from potstill.compression.pruning.slicing import cut_groups, cut_hidden, cut_units

    if new.units < old.units:
        cut_units(model, list(best(activity.units, new.units)))
    if new.heads < old.heads:
        cut_groups(model, list(best(activity.groups(old.per_group), new.groups)))
    if new.hidden < old.hidden:
        cut_hidden(model, best(activity.hidden, new.hidden))
