"""Experts of a mixture by how much they are used, and without those that are used least (Lu et al. 2024).

"Not All Experts are Equal", arXiv 2402.14800, section 4, drops experts of each layer and keeps the router's rows of
those that stay; here the tokens that the router sends to an expert decide, which takes forward passes alone. All blocks
keep as many, so that the folder is a smaller model of the same type.

Shapes: E experts, K experts that a token goes to, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of
from potstill.compression.expert_layers import ExpertLayers
from potstill.compression.pruning.gates import run_hooked
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""Fields of configs and attributes of modules that count the experts of a block."""


def mixtures(model: PretrainedModel) -> list[nn.Module]:
    """Return the modules that hold a router and experts, in the order of blocks.

    Raises:
        BadInput: the model is no mixture of experts.
    """
    modules = [
        module for module in model.modules() if any(isinstance(child, ExpertLayers) for child in module.children())
    ]
    if not modules or not architecture_of(model).has_experts:
        kind = model.config.model_type
        raise BadInput(f"a model of type {kind!r} is no mixture of experts: take WidthPrune or DepthPrune")
    return modules


def use(model: PretrainedModel, batches: Sequence[Tensor]) -> list[Tensor]:
    """Return per mixture how many tokens of `batches` (ids [B, T]) its router sends to each expert [E]."""
    counts: dict[nn.Module, Tensor] = {}

    def count(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, ExpertLayers)
        sent = torch.bincount(args[1].flatten().cpu(), minlength=len(module))
        counts[module] = counts.get(module, torch.zeros(len(module), dtype=torch.long)) + sent

    experts = [experts_of(mixture) for mixture in mixtures(model)]
    run_hooked(model, batches, [one.register_forward_pre_hook(count) for one in experts])
    return [counts[one] for one in experts]


def most_used(counts: Tensor, keep: int, groups: int = 1) -> Tensor:
    """Return the numbers of the `keep` experts used most, equally many of each of `groups`; of equal ones the first.

    >>> most_used(torch.tensor([5, 0, 7, 1]), 2).tolist()
    [0, 2]
    >>> most_used(torch.tensor([5, 4, 0, 1]), 2, groups=2).tolist()
    [0, 3]
    """
    by_group = counts.reshape(groups, -1)
    order = by_group.argsort(dim=1, descending=True, stable=True)[:, : keep // groups]
    numbers = order + torch.arange(groups)[:, None] * by_group.shape[1]
    return numbers.flatten().sort().values


@torch.no_grad()
def keep_experts(model: PretrainedModel, keep: Sequence[Tensor]) -> None:
    """Leave only the `keep` experts of each mixture, with the router's rows of them.

    Args:
        model: whose experts are layers (see `architecture.with_linear_layers`).
        keep: per mixture the experts that stay, equally many.
    """
    for mixture, index in zip(mixtures(model), keep, strict=True):
        experts = experts_of(mixture)
        count = len(experts)
        experts.keep(index.tolist())
        for module in (mixture, *_routers(mixture)):
            _cut_rows(module, index, count)
            _write_count(module, len(index))
    _write_count(model.config, len(keep[0]))


def experts_of(mixture: nn.Module) -> ExpertLayers:
    """Return the experts of a mixture."""
    return next(child for child in mixture.children() if isinstance(child, ExpertLayers))


def _routers(mixture: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts of a mixture that have a row for each expert."""
    for child in mixture.children():
        if not isinstance(child, ExpertLayers):
            yield from (module for module in child.modules() if not isinstance(module, nn.Linear))


def _cut_rows(module: nn.Module, index: Tensor, count: int) -> None:
    """Leave only some rows of the weights of a module that has a row for each of `count` experts."""
    for name, weight in list(module.named_parameters(recurse=False)):
        if weight.shape[0] == count:
            setattr(module, name, nn.Parameter(weight.data[index.to(weight.device)]))
    for name, values in list(module.named_buffers(recurse=False)):
        if values.shape[:1] == (count,):
            setattr(module, name, values[index.to(values.device)])


def _write_count(holder: Any, count: int) -> None:
    """Write how many experts there are, where an object says it."""
    for name in COUNTS:
        if isinstance(getattr(holder, name, None), int):
            setattr(holder, name, count)
