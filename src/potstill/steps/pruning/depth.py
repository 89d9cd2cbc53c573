"""Depth pruning: the least important blocks are dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from potstill.compression.layer_kinds import layer_kinds, lost, most
from potstill.errors import BadInput, Problem
from potstill.models import folder
from potstill.models.written import check_written
from potstill.steps.compression.keep_layers import keep
from potstill.steps.compression.loss_base import loss_batches
from potstill.steps.pruning.structured import CutStep, publish_cut, remember

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.folder import Loaded
    from potstill.models.protocols import ModelSource
    from potstill.steps.pruning.structured import Original


class DepthPrune(CutStep):
    """Leave out the blocks that matter least (ShortGPT, Men et al. 2024, section 3).

    A block's score is its influence, 1 - the mean cosine of the hidden states before and behind it, or by how much the
    loss rises without it. With all blocks kept the model is unchanged. Fewer blocks make a model faster than narrower
    ones do at the same size, and cost more quality (Minitron, Muralidharan et al. 2024): train it with `recover`. Notes
    hold every block's score; `KeepLayers` takes given blocks without looking at any text.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(DepthPrune(student, calibration=rows, layers=3))
    {'parameters': 853056, 'zeros': 0.0, 'bits': 16}
    """

    version: ClassVar[int] = 2  # kinds of layers that a model alternates are kept

    _: KW_ONLY
    layers: Annotated[int, Ge(1)] | None = None
    """How many blocks stay."""
    kept: tuple[int, ...] = ()
    """In place of `layers`: the numbers of the blocks that stay, from 0; nothing is scored then."""
    score: Literal["influence", "loss"] = "influence"
    """`influence` takes one pass over the calibration, `loss` one for every block, and an encoder's needs `label`."""

    def check(self) -> Iterable[Problem]:
        """Yield blocks that are named wrongly, or both ways."""
        yield from super().check()
        if (self.layers is None) == (not self.kept):
            yield Problem("", "layers", "give either layers, how many blocks stay, or kept, their numbers")
        if list(self.kept) != sorted(set(self.kept)) or any(number < 0 for number in self.kept):
            yield Problem("", "kept", f"{self.kept} must rise from 0 or more: each block once, in the model's order")

    def run(self, model: ModelSource, calibration: Dataset, context: Context) -> Path:
        """Leave blocks of `model` out and write its folder.

        Raises:
            BadInput: the model has no such blocks, or the calibration is too short.
        """
        from potstill.compression.architecture import architecture_of, blocks_of
        from potstill.compression.pruning.depth import number_layers

        loaded = folder.load(model)
        if architecture_of(loaded.model).is_repeated:
            raise BadInput(
                f"all layers of a model of type {loaded.model.config.model_type!r} share one block, so none can go "
                "alone: run it fewer times by a lower num_hidden_layers in its config.json"
            )
        original = remember(self, loaded, calibration)
        self._check_count(original.shape.layers)
        path, blocks = blocks_of(loaded.model)
        kinds = layer_kinds(loaded.model, list(blocks))
        scores = [] if self.kept else self._scores(loaded, original, calibration, context)
        chosen = self.kept or most(kinds, scores, self.layers or 0)
        # all at once by the scores of the whole model, as in the paper: they are not taken again after each block
        keep(loaded.model, path, chosen)
        # attention reads its slot of the key-value cache by number: gaps would index beyond the cache
        number_layers(loaded.model)
        context.notes |= {"kept": list(chosen), "scores": {self.score: scores} if scores else {}}
        method = f"blocks of least {self.score} left out (ShortGPT, Men et al. 2024)" if scores else "given blocks kept"
        recipe = {"method": method, "blocks kept": list(chosen), "of": original.shape.layers}
        out = publish_cut(loaded, original, context, f"{len(chosen)} of {original.shape.layers} layers", recipe)
        check_written(out, (loaded.model, path))
        if gone := lost(kinds, chosen):
            context.notes["kinds left out"] = gone
            context.logger.warning("no block like the model's %s is kept: the result lacks these kinds", gone)
        return out

    def _check_count(self, count: int) -> None:
        """Check that the model has the blocks that are to stay.

        Raises:
            BadInput: it has not.
        """
        if self.layers is not None and self.layers > count:
            raise BadInput(Problem("", "layers", f"the model has {count} blocks, not {self.layers}: take 1 to {count}"))
        beyond = [number for number in self.kept if number >= count]
        if beyond:
            text = f"the model has {count} blocks, numbered 0 to {count - 1}, so there is no block"
            raise BadInput(Problem("", "kept", f"{text} {', '.join(map(str, beyond))}"))

    def _scores(self, loaded: Loaded, original: Original, rows: Dataset, context: Context) -> list[float]:
        """Return how much each block matters."""
        from potstill.compression.pruning.depth import block_influence, rise_of_loss

        if self.score == "influence":
            return block_influence(loaded.model, original.drawn.batches())
        batches = loss_batches(loaded, original.drawn, rows, self.label)
        return rise_of_loss(loaded.model, batches, lambda done: context.progress(done, original.shape.layers))
