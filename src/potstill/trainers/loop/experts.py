"""Adapters on mixtures of experts, whose experts are no linear layers but one weight [E, O, I] for all of them.

peft reaches such weights by `target_parameters`. What it makes of names of layers by itself, from the time when each
expert was a layer, is avoided: it adapts routers, doubles ranks and loses the layers of shared experts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

EXPERTS = "experts"
"""Name of the module that holds the weights of all experts of a block."""
ROUTERS = ("gate", "router", "shared_expert_gate")
"""Names of modules beside the experts that choose among them."""
CONVERTED = ("gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
"""Names that peft takes for those of experts (its `_MOE_TARGET_MODULE_MAPPING`)."""
ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class Targets:
    """What gets an adapter, as parameters of peft's configuration."""

    modules: str | list[str]
    """Names of layers, or a regular expression."""
    parameters: list[str]
    """Names of weights that are adapted as such."""


def weights(model: nn.Module) -> list[str]:
    """Return the names of the weights of experts, such as `model.layers.0.mlp.experts.down_proj`."""
    return [
        f"{name}.{own}"
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == EXPERTS
        for own, weight in module.named_parameters(recurse=False)
        if weight.ndim == 3
    ]


def matches(name: str, targets: str | tuple[str, ...]) -> bool:
    """Return whether peft's `targets` mean the module called `name`: a regular expression, or ends of names."""
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(f".{name}".endswith(f".{target}") for target in targets)


def targets_of(model: nn.Module, targets: str | tuple[str, ...]) -> Targets:
    """Return what gets an adapter in `model`; only mixtures of experts need more than `targets` says."""
    held = weights(model)
    if not held:
        return Targets(targets if isinstance(targets, str) else list(targets), [])
    layers = _layers(model)
    if targets == ALL_LINEAR:
        places = {name.rpartition(f".{EXPERTS}.")[0] for name in held}
        layers = [name for name in layers if not _routes(name, places)]
    else:
        held = [name for name in held if matches(name, targets)]
        layers = [name for name in layers if matches(name, targets)]
    # as a weight, a layer of such a name is adapted by the same product, and peft leaves it as it is
    plain = [name for name in layers if name.rpartition(".")[2] not in CONVERTED]
    return Targets(plain, [*held, *(f"{name}.weight" for name in layers if name not in plain)])


def refuse_in_4_bits(student: str | Path) -> None:
    """Make sure that bitsandbytes holds the layers of the model in `student`: else they would stay in float32 unseen.

    It takes the place of plain linear layers and Conv1D: not of experts, and not of layers that multiply by themselves.

    Raises:
        BadInput: it doesn't.
    """
    import torch

    from potstill.models.encoder_decoder import model_class
    from potstill.models.loading import config_of

    # on the meta device it takes no memory
    with torch.device("meta"):
        empty = model_class(student).from_config(config_of(student))
    of_experts = weights(empty)
    own = [name for name in _layers(empty) if type(empty.get_submodule(name)) is not torch.nn.Linear]
    names = [*of_experts, *(f"{name}.weight" for name in own)]
    if names:
        held = sum(empty.get_parameter(name).numel() for name in names) / empty.num_parameters()
        kind = "is a mixture of experts" if of_experts else f"has a {type(empty.get_submodule(own[0])).__name__}"
        raise BadInput(
            f"qlora: the model {student} {kind}, and {held:.0%} of its weights, such as {names[0]}, can't be held in 4 "
            "bits by bitsandbytes: take lora, or another student"
        )


def _layers(model: nn.Module) -> list[str]:
    """Return the names of the linear layers but for the output one."""
    import torch

    output = getattr(model, "get_output_embeddings", lambda: None)()
    return [
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not output
    ]


def _routes(name: str, places: set[str]) -> bool:
    """Return whether the layer called `name` chooses among the experts in one of the `places`."""
    return any(name.startswith(f"{place}.") and name[len(place) + 1 :].split(".")[0] in ROUTERS for place in places)
