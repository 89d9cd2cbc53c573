"""Depth pruning: the least important blocks are dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from potstill.compression.layer_kinds import layer_kinds, lost, most
from potstill.errors import BadInput, Problem
from potstill.models import folder
from potstill.models.encoder_decoder import count_layers
from potstill.models.written import check_written
from potstill.steps.compression.base import publish
from potstill.steps.compression.keep_layers import keep
from potstill.steps.compression.loss_base import loss_batches
from potstill.steps.pruning.structured import CutStep, publish_cut, remember
from potstill.steps.quantization.base import reference

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.folder import Loaded
    from potstill.models.protocols import ModelSource
    from potstill.steps.compression.calibration import Calibration


class DepthPrune(CutStep):
    """Leave out the blocks that matter least (ShortGPT, Men et al. 2024, section 3).

    A block's score is its influence, 1 - the mean cosine of the hidden states before and behind it, or by how much the
    loss rises without it. With all blocks kept the model is unchanged. Fewer blocks make a model faster than narrower
    ones do at the same size, and cost more quality (Minitron, Muralidharan et al. 2024): train it with `recover`. Notes
    hold every block's score; `KeepLayers` takes given blocks without looking at any text. Of an encoder-decoder, blocks
    leave the encoder and the decoder, each by the scores of its own.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(DepthPrune(student, calibration=rows, layers=3))
    {'parameters': 853056, 'zeros': 0.0, 'bits': 16}
    """

    version: ClassVar[int] = 2  # kinds of layers that a model alternates are kept
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"decoder_layers"})
    both_stacks: ClassVar[bool] = True

    _: KW_ONLY
    layers: Annotated[int, Ge(1)] | None = None
    """How many blocks stay; of an encoder-decoder in the encoder, and in the decoder if `decoder_layers` is `None`."""
    decoder_layers: Annotated[int, Ge(1)] | None = None
    """Of an encoder-decoder, how many blocks of the decoder stay. It writes token by token, so that its blocks take
    nearly all of the time: a deep encoder with a shallow decoder loses least for its speed (Kasai et al. 2021)."""
    kept: tuple[int, ...] = ()
    """In place of `layers`: the numbers of the blocks that stay, from 0; nothing is scored then. An encoder-decoder
    keeps them in both halves."""
    score: Literal["influence", "loss"] = "influence"
    """`influence` takes one pass over the calibration, `loss` one for every block, and an encoder's needs `label`."""

    def check(self) -> Iterable[Problem]:
        """Yield blocks that are named wrongly, or both ways."""
        yield from super().check()
        if (self.layers is None) == (not self.kept):
            yield Problem("", "layers", "give either layers, how many blocks stay, or kept, their numbers")
        if self.decoder_layers is not None and self.layers is None:
            yield Problem("", "decoder_layers", "goes with layers, how many blocks of the encoder stay: give that too")
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
        if architecture_of(loaded.model).decoder_blocks:
            return self._cut_both(loaded, calibration, context)
        if self.decoder_layers is not None:
            raise BadInput(
                Problem("", "decoder_layers", f"a {loaded.model.config.model_type} model has one list: leave it out")
            )
        original = remember(self, loaded, calibration)
        self._check_count(self.layers, original.shape.layers)
        path, blocks = blocks_of(loaded.model)
        kinds = layer_kinds(loaded.model, list(blocks))
        scores = [] if self.kept else self._scores(loaded, original.drawn, calibration, context)
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

    def _cut_both(self, loaded: Loaded, calibration: Dataset, context: Context) -> Path:
        """Leave blocks of an encoder-decoder out, in both halves, and write its folder.

        Raises:
            BadInput: a half has no such blocks.
        """
        from potstill.compression.architecture import stacks_of
        from potstill.compression.pruning.depth import number_layers

        before, parameters = reference(self, loaded, calibration), loaded.model.num_parameters()
        halves = dict(zip(("encoder", "decoder"), stacks_of(loaded.model), strict=True))
        counts = {half: len(blocks) for half, (_, blocks) in halves.items()}
        wanted = {"encoder": self.layers, "decoder": self.decoder_layers or self.layers}
        for half, count in counts.items():
            self._check_count(wanted[half], count, half)
        scores = [] if self.kept else self._scores(loaded, before.drawn, calibration, context)
        own = {"encoder": scores[: counts["encoder"]], "decoder": scores[counts["encoder"] :]}
        kept: dict[str, list[int]] = {}
        for half, (path, blocks) in halves.items():
            chosen = self.kept or _most(loaded.model, list(blocks), own[half], wanted[half] or 0)
            keep(loaded.model, path, chosen)
            count_layers(loaded.model.config, path, len(chosen))
            kept[half] = list(chosen)
        number_layers(loaded.model)
        figures = before.measure(context)
        after = {"before": parameters, "after": loaded.model.num_parameters()}
        context.notes |= {"kept": kept, "scores": {self.score: own} if scores else {}, "parameters": after}
        method = f"blocks of least {self.score} left out (ShortGPT, Men et al. 2024)" if scores else "given blocks kept"
        recipe = {"method": method, "blocks kept": kept, "of": counts, "calibration rows": len(before.drawn.texts)}
        suffix = " and ".join(f"{len(numbers)} of {counts[half]} {half} layers" for half, numbers in kept.items())
        details = {f"calibration {name}": value for name, value in figures.items()}
        details |= {f"parameters {name}": value for name, value in after.items()}
        out = publish(loaded, context, suffix, recipe, details)
        for path, _ in halves.values():
            check_written(out, (loaded.model, path))
        return out

    def _check_count(self, wanted: int | None, count: int, whose: str = "model") -> None:
        """Check that the model, or a half of it, has the blocks that are to stay.

        Raises:
            BadInput: it has not.
        """
        if wanted is not None and wanted > count:
            field = "decoder_layers" if whose == "decoder" and self.decoder_layers else "layers"
            raise BadInput(Problem("", field, f"the {whose} has {count} blocks, not {wanted}: take 1 to {count}"))
        beyond = [number for number in self.kept if number >= count]
        if beyond:
            text = f"the {whose} has {count} blocks, numbered 0 to {count - 1}, so there is no block"
            raise BadInput(Problem("", "kept", f"{text} {', '.join(map(str, beyond))}"))

    def _scores(self, loaded: Loaded, drawn: Calibration, rows: Dataset, context: Context) -> list[float]:
        """Return how much each block matters."""
        from potstill.compression.architecture import stacks_of
        from potstill.compression.pruning.depth import block_influence, rise_of_loss

        if self.score == "influence":
            return block_influence(drawn.walk(loaded.model))
        batches = loss_batches(loaded, drawn, rows, self.label)
        total = sum(len(blocks) for _, blocks in stacks_of(loaded.model))
        return rise_of_loss(loaded.model, batches, lambda done: context.progress(done, total))


def _most(model: PretrainedModel, blocks: Sequence[nn.Module], scores: Sequence[float], count: int) -> tuple[int, ...]:
    """Return the numbers of the `count` blocks of highest scores; the first stays where the others need its bias."""
    from potstill.compression.architecture import architecture_of

    kinds = layer_kinds(model, blocks)
    if not architecture_of(model).puts_out_bias or kinds[0] in kinds[1:]:
        return most(kinds, scores, count)
    others = most(kinds[1:], scores[1:], count - 1) if count > 1 else ()
    return (0, *(number + 1 for number in others))
