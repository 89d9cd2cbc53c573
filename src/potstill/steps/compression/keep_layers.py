"""A student initialised from some of its teacher's layers."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from potstill.compression.layer_kinds import layer_kinds, lost, spread
from potstill.engine.step import Step
from potstill.errors import BadInput, Problem
from potstill.models import encoder_decoder
from potstill.models.card import name_of, write_card
from potstill.models.edge import Model
from potstill.models.folder import Loaded, with_head
from potstill.models.identity import folder_of
from potstill.models.preload import MODEL
from potstill.models.written import check_written

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class KeepLayers(Step):
    """Make a student of some of a teacher's layers: alternate ones, or any others.

    Embeddings, head, tokenizer and every kept layer's weights are the teacher's, and the config's layer count is
    updated; nothing is trained. DistilBERT starts from one layer out of two, since both share the width (Sanh et al.
    2019, arXiv 1910.01108, section 3). For encoders and causal models whose layers stand in one list; one without a
    head keeps none. Of an encoder-decoder, encoder and decoder keep the same layers. All layers kept make the teacher
    again.

    >>> show(KeepLayers(encoder, every=2))
    {'parameters': 17389824, 'zeros': 0.0, 'bits': 32}
    """

    version: ClassVar[int] = 2  # kinds of layers that a model alternates are kept
    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    model: Model
    """Teacher: a step, a folder or a Hub id."""
    _: KW_ONLY
    layers: tuple[int, ...] = ()
    """Numbers of the teacher's layers from 0, in the student's order; empty takes them by `every`. (0, 2, 4, 7, 9, 11)
    of 12 are those of DistilBERT as published."""
    every: Annotated[int, Ge(1)] = 2
    """Where `layers` is empty: the first of each so many layers; 2 halves the depth, as in the paper. In a model that
    alternates kinds of layers (sliding and full attention, say) they are counted within each kind where else a kind
    would be left out."""

    def check(self) -> Iterable[Problem]:
        """Yield the layers that no model has."""
        below = [layer for layer in self.layers if layer < 0]
        if below:
            yield Problem("", "layers", f"{below} are no layers: they are counted from 0")

    def run(self, model: ModelSource, context: Context) -> Path:
        """Write the student's folder.

        Raises:
            BadInput: the teacher has no such layers, or no single list of layers.
        """
        folder = folder_of(model)
        loaded = Loaded(folder, with_head(folder), None)
        if getattr(loaded.model.config, "is_encoder_decoder", False):
            paths = encoder_decoder.stacks(loaded.model)
        else:
            paths = [blocks(loaded.model)[0]]
        for path in paths:
            chosen, count = self._keep(loaded.model, path, context)
            if len(paths) > 1:
                encoder_decoder.count_layers(loaded.model.config, path, len(chosen))
        loaded.save(context.out)
        for path in paths:
            check_written(context.out, (loaded.model, path))
        figures = {"parameters": loaded.model.num_parameters(), "layers": len(chosen)}
        context.notes |= {**figures, "kept": list(chosen), "of": count}
        base = name_of(loaded.folder)
        write_card(
            context.out,
            title=f"{base}, {len(chosen)} of {count} layers",
            made_from=base,
            recipe={"method": "layers kept as they are (Sanh et al. 2019)", "layers kept": list(chosen), "of": count},
            figures=figures,
            task=loaded.task,
        )
        return context.out

    def _keep(self, model: PretrainedModel, path: str, context: Context) -> tuple[Sequence[int], int]:
        """Leave only the chosen layers of a list; return them, and how many there were.

        Raises:
            BadInput: there are no such layers.
        """
        kinds = layer_kinds(model, list(model.get_submodule(path).children()))
        chosen = self._chosen(kinds)
        keep(model, path, chosen)
        if gone := lost(kinds, chosen):
            context.notes["kinds left out"] = gone
            context.logger.warning("no layer like the teacher's %s is kept: the student lacks these kinds", gone)
        return chosen, len(kinds)

    def _chosen(self, kinds: Sequence[Hashable]) -> Sequence[int]:
        """Return the layers to keep, given the kind of each.

        Raises:
            BadInput: some don't exist.
        """
        count, chosen = len(kinds), self.layers or spread(kinds, self.every)
        beyond = [layer for layer in chosen if layer >= count]
        if beyond:
            text = f"the model has {count} layers, numbered 0 to {count - 1}, so there is no layer"
            raise BadInput(Problem("", "layers", f"{text} {', '.join(map(str, beyond))}"))
        return chosen


def blocks(model: PretrainedModel) -> tuple[str, int]:
    """Return the path of the list of a model's layers, and how many there are.

    Raises:
        BadInput: there is no such list, or several.
    """
    import torch

    count = int(model.config.get_text_config().num_hidden_layers)
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    # a list inside of a layer (of experts, say) is no list of layers
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outermost) != 1:
        raise BadInput(
            f"a {type(model).__name__} has no single list of its {count} layers "
            f"({', '.join(outermost) or 'none found'}): "
            "take an encoder such as BERT, or a causal model, whose layers don't share their weights"
        )
    return outermost[0], count


def keep(model: PretrainedModel, path: str, chosen: Sequence[int]) -> None:
    """Leave only the `chosen` layers in the list at `path`, and count them in the config; then save it, don't run it.

    A layer that is chosen twice is copied. Fields of the config that depend on a layer's number are cut alike.

    Raises:
        BadInput: the model would have no attention left, or its layers are tied to each other.
    """
    import torch

    from potstill.compression.layer_kinds import check_can_generate, cut_config

    check_can_generate(model, chosen)
    parent, _, name = path.rpartition(".")
    old = model.get_submodule(path)
    assert isinstance(old, torch.nn.ModuleList)
    if not getattr(model.config, "is_encoder_decoder", False):
        cut_config(model.config.get_text_config(), chosen, len(old))
    # a layer chosen twice is copied, or the two would share their weights in training too
    layers = [
        old[layer] if layer not in chosen[:place] else copy.deepcopy(old[layer]) for place, layer in enumerate(chosen)
    ]
    setattr(model.get_submodule(parent), name, torch.nn.ModuleList(layers))
