"""Data parallelism: the processes of a training each compute their share of every batch, and add up the gradients.

The loss of a batch is the sum over its targets divided by their number in the whole batch, so it and its gradient are
sums over the processes: the same as in one process but for rounding. Every process holds the whole student; gradients
are added once a batch, whatever the objective does with the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

BUCKET = 32 * 2**20
"""Elements of an all-reduce: few enough to need little memory, enough to use the bandwidth."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    """Its number; process 0 is the step's own, which alone writes."""
    size: int = 1
    """How many there are."""

    @classmethod
    def current(cls) -> Group:
        """Return the group that this process belongs to; one of size 1 without torch.distributed."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's part of `items`."""
        return items[self.rank :: self.size] if self.size > 1 else items

    def gather(self, value: Item) -> list[Item]:
        """Return every process's `value`, small and plain, in the order of the processes."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def add_gradients(self, model: torch.nn.Module) -> None:
        """Replace each gradient by its sum over the processes; one that no process has stays None."""
        if self.size == 1:
            return
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # all processes must reduce the same list: a weight may have no gradient in a process without such rows
        have = torch.tensor([float(parameter.grad is not None) for parameter in learning], device=learning[0].device)
        somewhere = self.total(have).tolist()
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter, count in zip(learning, somewhere, strict=True)
            if count
        ]
        for bucket in _buckets(gradients):
            summed = self.total(torch.cat([gradient.flatten() for gradient in bucket]))
            for gradient, part in zip(bucket, torch.split(summed, [each.numel() for each in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))
        having = (parameter for parameter, count in zip(learning, somewhere, strict=True) if count)
        for parameter, gradient in zip(having, gradients, strict=True):
            parameter.grad = gradient


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the gradients in groups of one dtype that are reduced together."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        full = sum(each.numel() for each in bucket) + gradient.numel() > BUCKET
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
