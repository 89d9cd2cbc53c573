"""A pruned model's mask on another model's weights: a lottery ticket, and its controls."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from potstill.engine.step import Step
from potstill.errors import BadInput
from potstill.models import folder
from potstill.models.edge import Model
from potstill.models.preload import MODEL
from potstill.steps.compression.base import publish

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

METHODS = {
    "none": "the weights that a pruned model kept, rewound (Frankle and Carbin 2018)",
    "random": "as many weights as a pruned model kept, drawn at random over all layers",
    "shuffled": "as many weights in each layer as a pruned model kept, drawn at random",
}


class Rewind(Step):
    """Give the weights of one model the zeros of another, pruned one: a lottery ticket, ready to be trained.

    Frankle and Carbin 2018 (arXiv 1803.03635, section 1): what survives pruning goes back to what it was before
    training, or early in it. Only the blocks' linear layers have zeros; the two models may have different heads. Train
    the result with `hold_zeros=True`.

    >>> pruned = MagnitudePrune(student, sparsity=0.5)
    >>> show(Rewind(pruned, weights=student))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    model: Model
    """Pruned model, whose zeros are taken."""
    _: KW_ONLY
    weights: Model
    """Model whose weights are taken, of the same shape: the one that training began with, or an early one of it."""
    control: Literal["none", "random", "shuffled"] = "none"
    """What to compare a ticket with. `random`: as many zeros, drawn over all layers; `shuffled`: as many in each layer,
    at other places."""
    seed: int = 0
    """Seed of a control's draw."""

    def run(self, model: ModelSource, weights: ModelSource, context: Context) -> Path:
        """Write the rewound model's folder.

        Raises:
            BadInput: the models don't have the same shape, or the pruned one has no zeros.
        """
        from potstill.compression.pruning.rewinding import controlled

        # zeros are read before the other model is loaded, so that only one is in memory
        masks, loaded = _masks(model), folder.load(weights)
        layers = _layers(loaded.model)
        _check_alike({path: layer.weight.data for path, layer in layers.items()}, masks)
        for (path, layer), mask in zip(layers.items(), controlled(masks, self.control, self.seed), strict=True):
            assert mask.shape == masks[path].shape
            layer.weight.data.mul_(mask.to(layer.weight.device))
        zeros = sum(int((layer.weight.data == 0).sum()) for layer in layers.values())
        share = zeros / max(sum(layer.weight.numel() for layer in layers.values()), 1)
        context.notes |= {"sparsity": share}
        recipe = {"method": METHODS[self.control], **({} if self.control == "none" else {"seed": self.seed})}
        return publish(loaded, context, f"{share:.0%} pruned, rewound", recipe, {"zeros": share})


def _masks(model: ModelSource) -> dict[str, Tensor]:
    """Return which weights of the pruned model are not zero.

    Raises:
        BadInput: none is zero.
    """
    masks = {path: layer.weight.data != 0 for path, layer in _layers(folder.load(model).model).items()}
    if all(bool(mask.all()) for mask in masks.values()):
        raise BadInput(
            "the pruned model has no zeros in its blocks: give what a pruning step such as MagnitudePrune made"
        )
    return masks


def _layers(model: PretrainedModel) -> dict[str, nn.Linear]:
    """Return the linear layers of the blocks by their path from there, which does not depend on the head."""
    from potstill.compression.architecture import blocks_of
    from potstill.compression.layerwise import linear_layers

    return linear_layers(blocks_of(model)[1], "blocks")


def _check_alike(weights: dict[str, Tensor], masks: dict[str, Tensor]) -> None:
    """Make sure that there is a mask of its shape for each weight.

    Raises:
        BadInput: there isn't.
    """
    shapes = [{path: tuple(each.shape) for path, each in side.items()} for side in (masks, weights)]
    if shapes[0] != shapes[1]:
        path = next(path for path in [*shapes[0], *shapes[1]] if shapes[0].get(path) != shapes[1].get(path))
        raise BadInput(
            f"the pruned model and the one whose weights are taken differ in {path}: "
            f"{shapes[0].get(path, 'none')} and {shapes[1].get(path, 'none')}; take weights that it was trained from"
        )
