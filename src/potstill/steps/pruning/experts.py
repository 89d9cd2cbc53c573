"""Experts of a mixture pruned by use."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from potstill.errors import BadInput
from potstill.models import folder
from potstill.steps.pruning.structured import CutStep, publish_cut, remember

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import ModelConfig
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class ExpertPrune(CutStep):
    """Prune the experts of a mixture that the fewest calibration tokens are sent to.

    Lu et al. 2024 (arXiv 2402.14800), section 4: experts of each block are dropped, and the router keeps its rows of
    those that stay. By use, which takes forward passes alone. Every block keeps as many, and the folder is a smaller
    model of the same type. Notes hold how often each expert was used.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(ExpertPrune(mixture, calibration=rows, max_length=128, experts=3))
    {'parameters': 172864, 'zeros': 0.0, 'bits': 32}
    """

    _: KW_ONLY
    experts: Annotated[int, Ge(1)]
    """Experts that stay in each block; at least as many as a token goes to."""

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Take experts of `model` away and write its folder.

        Raises:
            BadInput: so many can't stay, the model is no mixture, or the calibration is too short.
        """
        from potstill.compression.pruning.expert_use import experts_of, keep_experts, mixtures, most_used, use

        loaded = folder.load(model)
        count = len(experts_of(mixtures(loaded.model)[0]))
        groups = self._groups(loaded.model.config, count)
        original = remember(self, loaded, calibration)
        counts = use(loaded.model, original.drawn.batches())
        keep_experts(loaded.model, [most_used(one, self.experts, groups) for one in counts])
        context.notes["use"] = [one.tolist() for one in counts]
        recipe = {"method": "experts by use (Lu et al. 2024)", "experts": f"{count} -> {self.experts}"}
        return publish_cut(loaded, original, context, f"{self.experts} of {count} experts", recipe)

    def _groups(self, config: ModelConfig, count: int) -> int:
        """Return in how many groups the router takes the experts, which must keep as many each.

        Raises:
            BadInput: so many experts can't stay.
        """
        groups, each = getattr(config, "n_group", None) or 1, int(getattr(config, "num_experts_per_tok", 1))
        if not each <= self.experts < count:
            raise BadInput(
                f"experts={self.experts}: a block has {count}, and a token goes to {each}: take {each} to {count - 1}"
            )
        if self.experts % groups:
            raise BadInput(
                f"experts={self.experts}: the router takes them in {groups} groups, which must keep as many each: take "
                f"a multiple of {groups}"
            )
        # a router takes a token's experts from its best groups, and weighs a group by the two best in it
        taken = int(getattr(config, "topk_group", None) or groups)
        fewest = max(2, -(-each // taken)) * groups
        if groups > 1 and self.experts < fewest:
            raise BadInput(
                f"experts={self.experts}: a token goes to {each} experts of {taken} of {groups} groups, and the router "
                f"would take some of other groups, which weigh nothing: leave {fewest} at least"
            )
        return int(groups)
