"""Structured pruning with forward passes only (Bonsai)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Interval

from potstill.errors import Problem
from potstill.models import folder
from potstill.steps.compression.base import calibration_columns
from potstill.steps.compression.loss_base import loss_batches
from potstill.steps.pruning.structured import SizedStep, publish_cut, remember, wanted

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.loss import Batch
    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.bonsai import Goal
    from potstill.compression.pruning.shapes import Shape
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

LEAST = 4
"""Fewest sub-models of a round: two complementary pairs."""


class BonsaiPrune(SizedStep):
    """Cut units and heads by trying sub-models, with forward passes only (Bonsai, Dery et al. 2024, section 3).

    Rounds that each lose `step` of every block: a prior (Wanda's score of the weights that read a part) names twice as
    many candidates as will go; sub-models without random halves of them are tried in complementary pairs; and a
    regression of their merit on what they had says which candidates to cut. All blocks lose as many, so that
    transformers and vLLM load what is left; the paper's ranking over all blocks does not. A round takes `submodels`
    passes over the calibration, and no more memory than answering does. The gain over the prior shows when much is cut.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(BonsaiPrune(student, calibration=rows, intermediate_size=320, step=0.2, submodels=10))
    {'parameters': 951680, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    label: str | None = None
    """Column of the classes, for a classifier; without it the loss is that of the next tokens of the answers."""
    samples: Annotated[int, Ge(1)] = 32
    """Calibration rows to draw; the number of the authors' code."""
    utility: Literal["perplexity", "accuracy"] | Callable[[Any, Any], float] = "perplexity"
    """What a sub-model is good for: minus the perplexity, the share of right predictions (of classes where `label` is
    given, else of next tokens), or a function of a model and a list of `compression.objective.Batch` to a number,
    higher is better; it need not be differentiable."""
    submodels: Annotated[int, Ge(0)] = 200
    """Sub-models tried a round, at least 4; the number of the authors' code. 0 cuts by the prior alone, a control."""
    step: Annotated[float, Interval(gt=0, le=1)] = 0.05
    """Share of a block's units that a round takes; the share of the authors' code."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": calibration_columns(self, self.label)}

    def check(self) -> Iterable[Problem]:
        """Yield too few sub-models for a regression."""
        yield from super().check()
        if 0 < self.submodels < LEAST:
            text = f"{self.submodels} are too few to tell parts apart: try {LEAST} at least, or 0 for the prior alone"
            yield Problem("", "submodels", text)

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Cut `model` and write its folder.

        Raises:
            BadInput: the sizes don't fit the model, there is nothing to measure, or the calibration is too short.
        """
        from potstill.compression.pruning.bonsai import Goal

        loaded = folder.load(model)
        original = remember(self, loaded, calibration)
        old, new = original.shape, wanted(self, loaded, original.shape)
        batches = loss_batches(loaded, original.drawn, calibration, self.label)
        taus = self.prune(loaded.model, batches, old, Goal(new.units, new.groups), context)
        context.notes |= {"rounds": taus, "utility": self._utility()(loaded.model, batches)}
        recipe = {
            "method": "forward passes only (Bonsai, Dery et al. 2024), equally many cut in every block",
            "sub-models a round": self.submodels,
            "rounds": len(taus),
            "aligned to": self.align,
        }
        return publish_cut(loaded, original, context, "narrower", recipe)

    def prune(
        self, model: PretrainedModel, batches: Sequence[Batch], old: Shape, end: Goal, context: Context
    ) -> list[dict[str, float]]:
        """Cut `model` in rounds; return, per round, how well unseen sub-models were ranked."""
        import torch

        from potstill.compression.pruning.bonsai import candidates, cut, goals, regressed

        generator = torch.Generator().manual_seed(self.seed)
        rounds = goals(old.units, old.groups, end, self.step)
        figures: list[dict[str, float]] = []
        for number, goal in enumerate(rounds):
            context.progress(number, len(rounds), note=f"{goal.units} units and {goal.groups} key-value groups a block")
            # the prior is taken again in each round: what was cut changed the activations
            every = candidates(model, batches, goal)
            if not self.submodels:
                cut(model, every, None)
                figures.append({})
                continue
            regression = regressed(model, batches, every, self._utility(), self.submodels, generator)
            cut(model, every, regression.worth)
            figures.append({"tau": regression.tau, "prior_tau": regression.prior_tau})
        return figures

    def _utility(self) -> Callable[[Any, Sequence[Batch]], float]:
        """Return what measures a sub-model."""
        from potstill.compression.loss import accuracy, minus_perplexity

        if callable(self.utility):
            return self.utility
        return minus_perplexity if self.utility == "perplexity" else accuracy
