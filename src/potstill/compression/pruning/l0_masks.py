"""Learned masks over coarse and fine parts of a transformer, and the constraint that makes them small enough.

CoFi (Xia et al. 2022, "Structured Pruning Learns Compact and Accurate Models", section 3.1): a gate for each attention
and feed-forward sub-layer, each head (here each key-value group), each feed-forward unit and each hidden channel, and
the Lagrangian of an expected sparsity. Sheared LLaMA (Xia et al. 2023, section 2.1): a Lagrangian for each size of a
fixed target shape instead.

Shapes: L blocks, G key-value groups, U feed-forward units, H hidden channels, J constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from potstill.compression.pruning import hard_concrete
from potstill.compression.pruning.shapes import Shape

START = 2.0
"""Log alpha at the start: gates are open with a probability of 0.97."""
EXACT = 1e-6
"""Rounding error of a share."""
HIDDEN, ATTENTION, GROUPS, FEED_FORWARD, UNITS = "hidden", "attention", "groups", "feed_forward", "units"
COARSE_AND_FINE = (ATTENTION, GROUPS, FEED_FORWARD, UNITS)
"""Masks that leave blocks different from each other."""


@dataclass(frozen=True)
class Costs:
    """Projection weights that belong to one part, per hidden channel."""

    group: int
    """Of a key-value group: its rows of query, key and value, and the columns that read it."""
    unit: int
    """Of a feed-forward unit."""

    @classmethod
    def of(cls, shape: Shape, projections: int) -> Costs:
        """Return those of a model whose units come from so many `projections`: 2 with a gate, otherwise 1."""
        # queries and output projection have per_group heads each, keys and values one each
        return cls(2 * (shape.per_group + 1) * shape.head_size, projections + 1)


class L0Masks(nn.Module):
    """A hard concrete gate for each part; parts of a kind that isn't learned are always there.

    What the optimizer sees is log alpha divided by `ratio`, so that it learns faster than the weights by that factor.
    """

    def __init__(self, shape: Shape, costs: Costs, kinds: tuple[str, ...], ratio: float = 1.0) -> None:
        """Start with open gates of the `kinds`."""
        super().__init__()
        sizes = sizes_of(shape)
        self.shape, self.costs, self.ratio = shape, costs, ratio
        self.scaled = nn.ParameterDict({kind: nn.Parameter(torch.zeros(sizes[kind])) for kind in kinds})
        for parameter in self.scaled.values():
            # without the hook the chain rule would multiply the gradient by the ratio too, and SGD would step by its
            # square
            parameter.register_hook(scaled_by(1 / ratio))
        self.now: dict[str, Tensor] = {}

    def log_alpha(self, kind: str) -> Tensor:
        """Return the location of the gates of a kind."""
        scaled: Tensor = self.scaled[kind]
        return START + self.ratio * scaled

    def draw(self) -> None:
        """Draw the gates of a forward pass while training, or take the expected ones, into `now`."""
        self.now = {kind: self._gates(self.log_alpha(kind)) for kind in self.scaled}

    def _gates(self, log_alpha: Tensor) -> Tensor:
        if not self.training:
            return hard_concrete.expected(log_alpha)
        return hard_concrete.sample(log_alpha, torch.rand_like(log_alpha))

    def open_probability(self, kind: str) -> Tensor:
        """Return the probability of each part of a kind to stay: 1 where it isn't learned."""
        if kind not in self.scaled:
            return torch.ones(sizes_of(self.shape)[kind], device=next(iter(self.scaled.values())).device)
        return hard_concrete.open_probability(self.log_alpha(kind))

    def expected_sparsity(self) -> Tensor:
        """Return the expected share of the blocks' projection weights that goes (Xia et al. 2022, section 3.1).

        A weight stays if its hidden channel, its head or unit, and its sub-layer do, which are independent.
        """
        return 1 - self.remaining({kind: self.open_probability(kind) for kind in sizes_of(self.shape)})

    def remaining(self, open_: Mapping[str, Tensor]) -> Tensor:
        """Return the share of the blocks' projection weights that is left, given how far each part is `open_`."""
        groups = (open_[ATTENTION][:, None] * open_[GROUPS]).sum() * self.costs.group
        units = (open_[FEED_FORWARD][:, None] * open_[UNITS]).sum() * self.costs.unit
        shape = self.shape
        whole = shape.layers * (shape.groups * self.costs.group + shape.units * self.costs.unit)
        return open_[HIDDEN].mean() * (groups + units) / whole

    def shares(self, kinds: tuple[str, ...]) -> Tensor:
        """Return [J] the expected share of parts that stay: of a kind in each block, or of the hidden channels."""
        return torch.cat([self.open_probability(kind).mean(-1).reshape(-1) for kind in kinds])

    @torch.no_grad()
    def final(self, goal: float | Mapping[str, int]) -> dict[str, Tensor]:
        """Return the gates to build in, by kind: those with a log alpha above a threshold stay.

        A training that has met its constraint has few gates in between; one that has not is held to the `goal` all the
        same. Counts by kind have a threshold for each block, or for the channels. With a sparsity, sub-layers are
        closed first, those that are likely to be, unless that is too much already; then heads and units share the
        threshold that is still needed. Gates of hidden channels are 0 or 1, since norms are over those that stay.
        """
        if isinstance(goal, float):
            limits = self._limits(1 - goal)
        else:
            limits = {kind: _between(self.log_alpha(kind), goal[kind]) for kind in self.scaled}
        built = {}
        for kind, limit in limits.items():
            stays = self._above(kind, limit)
            # where too much was closed, what opens again is at least half open
            gates = hard_concrete.expected(self.log_alpha(kind) - limit.clamp_max(0))
            built[kind] = stays if kind == HIDDEN else stays * gates
        return built

    def _limits(self, left: float) -> dict[str, Tensor]:
        """Return the thresholds of log alpha that leave the share `left` of the weights, or a bit more."""
        limits: dict[str, Tensor] = {}
        for kinds, likely in (((ATTENTION, FEED_FORWARD), True), ((GROUPS, UNITS), False)):
            mine = [kind for kind in kinds if kind in self.scaled]
            if mine:
                limits |= self._limit(mine, left, limits, likely)
        return limits

    def _limit(self, kinds: list[str], left: float, others: Mapping[str, Tensor], likely: bool) -> dict[str, Tensor]:
        """Return the highest threshold for `kinds` beside those of `others`; only what is `likely` to go may go."""
        # candidate thresholds: halfway between two neighbouring values, and below all of them
        values = torch.unique(torch.cat([self.log_alpha(kind).flatten() for kind in kinds]))
        steps = torch.cat([values[:1] - 1, (values[1:] + values[:-1]) / 2])
        if likely:
            steps = torch.cat([values[:1] - 1, steps[1:][steps[1:] < 0], steps.new_zeros(int(values[0] < 0))])
        low, high = 0, len(steps) - 1
        # what is left falls as the threshold rises, so that the highest one that leaves enough is found by bisection
        while low < high:
            middle = (low + high + 1) // 2
            enough = self._left({**others, **dict.fromkeys(kinds, steps[middle])}) >= left - EXACT
            low, high = (middle, high) if enough else (low, middle - 1)
        return dict.fromkeys(kinds, steps[low])

    def _left(self, limits: Mapping[str, Tensor]) -> float:
        """Return the share of weights that is left of what has a log alpha above its limit; others are open."""
        ones = {kind: torch.ones(size) for kind, size in sizes_of(self.shape).items()}
        return float(self.remaining(ones | {kind: self._above(kind, limit).cpu() for kind, limit in limits.items()}))

    def _above(self, kind: str, limit: Tensor) -> Tensor:
        return (self.log_alpha(kind) > limit).float()


class Lagrangian(nn.Module):
    """lambda1 * d + lambda2 * d^2 for each constraint, where d is how far it is missed; the multipliers maximise it.

    Xia et al. 2022, section 3.1, after Wang et al. 2020. The wanted value starts from `start` and moves on linearly
    over the share `warmup` of the training.
    """

    seen: Tensor
    """Targets trained on so far: part of checkpoints, so that a resumed run continues the warmup."""
    start: Tensor
    wanted: Tensor

    def __init__(self, start: Tensor, wanted: Tensor, total: int, warmup: float, ratio: float = 1.0) -> None:
        """Constrain J values to `wanted` [J]; training will take `total` targets."""
        super().__init__()
        # float64: a float32 count stops growing at 2^24
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("wanted", wanted, persistent=False)
        self.total, self.warmup, self.ratio = total, warmup, ratio
        self.linear = nn.Parameter(torch.zeros(len(wanted)))
        self.quadratic = nn.Parameter(torch.zeros(len(wanted)))
        for parameter in (self.linear, self.quadratic):
            # minus: the optimizer descends, and the multipliers have to ascend (max over lambda, min over the weights)
            parameter.register_hook(scaled_by(-1 / ratio))  # type: ignore[no-untyped-call] # torch's own

    def goal(self) -> Tensor:
        """Return the values [J] that are wanted by now."""
        done = min(float(self.seen) / max(self.total * self.warmup, 1.0), 1.0)
        return self.start + (self.wanted - self.start) * done

    def penalty(self, reached: Tensor) -> Tensor:
        """Return what missing the goal costs, given the values [J] that are `reached`."""
        missed = reached - self.goal()
        return self.ratio * (self.linear * missed + self.quadratic * missed.square()).sum()


def sizes_of(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return how many gates there are of each kind."""
    return {
        HIDDEN: (shape.hidden,),
        ATTENTION: (shape.layers,),
        GROUPS: (shape.layers, shape.groups),
        FEED_FORWARD: (shape.layers,),
        UNITS: (shape.layers, shape.units),
    }


def _between(log_alpha: Tensor, count: int) -> Tensor:
    """Return thresholds [..., 1] above which there are `count` of the last dimension, or fewer where some are equal."""
    ordered = log_alpha.sort(dim=-1, descending=True).values
    if count >= ordered.shape[-1]:
        return ordered[..., -1:] - 1
    return (ordered[..., count - 1 : count] + ordered[..., count : count + 1]) / 2


def scaled_by(factor: float) -> Callable[[Tensor], Tensor]:
    """Return a hook that multiplies a gradient."""
    return lambda gradient: gradient * factor
