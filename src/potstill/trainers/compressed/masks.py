"""The target size of a student under learned masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from potstill.errors import Problem


@dataclass(frozen=True)
class Masks:
    """How small a model is to become under learned masks: by a share, or to a fixed shape."""

    sparsity: Annotated[float, Interval(gt=0, lt=1)] | None = None
    """Share of the blocks' projection weights to prune, wherever it hurts least; blocks end up uneven."""
    intermediate_size: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: feed-forward units that stay in each block; None keeps all."""
    heads: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: query heads that stay in each block, whole key-value groups; None keeps all."""
    hidden_size: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: hidden channels that stay, the same in all blocks; None keeps all."""
    align: Annotated[int, Ge(1)] = 64
    """What a size of a fixed shape that changes must be a multiple of, for fast kernels; tiny models need less."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    """Learning rate of masks and multipliers; Xia et al. 2023 take 1.0 for 3,200 steps, short trainings need much."""
    warmup: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Share of the training in which the target moves linearly to its value."""

    def problems(self) -> Iterator[Problem]:
        """Yield that no target is given, or two."""
        sizes = {name: getattr(self, name) for name in ("intermediate_size", "heads", "hidden_size")}
        named = [name for name, value in sizes.items() if value is not None]
        if self.sparsity is None and not named:
            yield Problem("", "masks", f"nothing says how small: give sparsity, or {', '.join(sizes)}")
        if self.sparsity is not None and named:
            yield Problem("", "masks", f"{' and '.join(named)} say how small already: leave sparsity out, or them")
