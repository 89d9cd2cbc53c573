"""How a kind of model reads rows, and the hyperparameters of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from potstill.trainers.loop import trackers
from potstill.trainers.loop.examples import Example, micro_batches, target_logits

CURVE_POINTS = 100
"""About how many points a loss curve has."""
SCHEDULERS = {
    "cosine": "cosine",
    "linear": "linear",
    "constant": "constant_with_warmup",
    "wsd": "warmup_stable_decay",
}
"""Shapes of the learning rate by the names that transformers has for them."""
WSD_DECAY = 0.2
"""Share of the steps over which a `wsd` schedule falls; Haegele et al. 2024 (arXiv 2405.18392) use 10 to 20 %."""


@dataclass(frozen=True)
class Reading:
    """How a kind of model reads rows."""

    parts: Callable[[Sequence[Example], int], list[dict[str, Tensor]]]
    """Splits a batch into micro-batches of at most so many tokens, with `input_ids` and one of `labels` a target."""
    logits: Callable[[Any, Mapping[str, Tensor]], Tensor]
    """Returns the model's logits [N, V] at the targets of a micro-batch."""


CAUSAL = Reading(micro_batches, target_logits)
"""A causal language model: a target is a token, predicted from those before it."""


@dataclass(frozen=True)
class Schedule:
    """The hyperparameters of a training."""

    epochs: float
    """How often all rows are learned."""
    batch_size: int
    """Rows a step."""
    learning_rate: float
    """Its peak."""
    decay: str
    """Its decay: one of `SCHEDULERS`."""
    warmup: float
    """Share of the steps in which it rises."""
    weight_decay: float
    """Of AdamW, for matrices."""
    clip: float
    """Norm of the gradient to which larger ones are clipped."""
    seed: int
    """Of the shuffling of rows and of dropout."""
    budget: int
    """Tokens of a micro-batch."""
    checkpoint_every: int
    """Steps between checkpoints."""
    bf16: bool
    """Whether the model runs in bfloat16; its weights, the loss and the optimizer stay in float32."""
    evaluate_every: int = 0
    """Steps between evaluations; 0 evaluates after each epoch."""
    patience: int = 0
    """Evaluations without a lower loss after which training stops; 0 never does."""
    gradient_checkpointing: bool = False
    """Whether activations are recomputed in the backward pass instead of being kept."""
    sharding: bool = False
    """Whether the model is sharded over several processes."""
    paged: bool = False
    """Whether the optimizer's state moves to the CPU when the GPU is full, as in QLoRA."""
    report_to: tuple[trackers.Tracker, ...] = ()
    """Where metrics are logged."""
    hold_zeros: bool = False
    """Whether weights that are zero stay zero."""

    def steps(self, rows: int) -> int:
        """Return the number of optimizer steps for so many rows."""
        return math.ceil(self.epochs * self.steps_a_pass(rows))

    def steps_a_pass(self, rows: int) -> int:
        """Return the number of optimizer steps of one epoch of so many rows."""
        return -(-rows // self.batch_size)
