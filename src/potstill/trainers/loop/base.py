"""The fields that all trainers share; `session.py` trains by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.engine.running.ranks import launched
from potstill.engine.step import Placement, Rows, Step
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.models.preload import TRAINER
from potstill.trainers.loop.trackers import Tracker, missing_trackers

if TYPE_CHECKING:
    from potstill.trainers.loop.parametrization import Form


class Training(Step):
    """The fields of every trainer; a subclass defines the objective, in a `run` that trains within `set_up`.

    Trains in float32 (bfloat16 arithmetic where that is faster), with AdamW. Every target of a batch weighs the same.
    Rows that can't be trained on are left out and counted with the reason. A killed run resumes from its last
    checkpoint. A step whose loss or gradient is NaN or infinite is not taken: the training fails and names the rows.
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = TRAINER
    unkeyed: ClassVar[frozenset[str]] = frozenset(
        # processes add up what one would add up alone; the others change how it is computed, kept or shown
        {"micro_batch_tokens", "checkpoint_every", "processes", "gradient_checkpointing", "sharding", "report_to"}
    )

    rows: Rows
    """Rows to learn from."""
    _: KW_ONLY
    student: Model
    """Model to train: a step, a local folder or a Hub id."""
    epochs: Annotated[float, Gt(0)] = 3.0
    """Epochs: how often all rows are learned."""
    learning_rate: Annotated[float, Gt(0)] | None = None
    """Peak learning rate. None takes one for the student's size (1e-3 at a million parameters or less, 4e-5 at 0.6
    billion), and 2e-4 for adapters."""
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """Decay of the learning rate to 0; `constant` has none, and `wsd` (warmup, stable, decay) one in the last fifth."""
    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """Share of the steps in which the learning rate rises linearly."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Rows a step; part of the result, unlike `micro_batch_tokens`."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW, for matrices."""
    clip: Annotated[float, Gt(0)] = 1.0
    """Norm of the whole gradient to which larger ones are clipped."""
    seed: int = 0
    """Seed of the shuffling of rows, of new weights and of dropout."""
    micro_batch_tokens: Annotated[int, Ge(1)] = 4096
    """Tokens of a micro-batch, padding included: sets the memory, not the result, as a batch's gradients add up."""
    checkpoint_every: Annotated[int, Ge(1)] = 100
    """Steps between checkpoints: at most this many are lost when a run is killed."""
    hold_zeros: bool = False
    """Whether weights of linear layers that are exactly zero stay zero: for the training after pruning."""
    validation: Rows | None = None
    """Rows to evaluate on while training; the weights with the lowest loss there are kept, else the last ones."""
    evaluate_every: Annotated[int, Ge(0)] = 0
    """Steps between evaluations; 0 evaluates after each epoch."""
    patience: Annotated[int, Ge(0)] = 0
    """Early stopping: evaluations without a lower loss after which training stops; 0 never stops early."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of keeping them: a third more time for much less memory."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the model; weights, loss and optimizer are float32. `auto` takes bfloat16 where it is faster."""
    processes: Annotated[int, Ge(1)] = 1
    """Processes that share each batch, on one GPU each; without a GPU they share the step's threads."""
    sharding: bool = False
    """Whether the processes split weights, gradients and optimizer state (FSDP), and a live teacher's weights: for a
    student that one GPU can hold but not train."""
    report_to: tuple[Tracker, ...] = ()
    """Where metrics are logged besides the manifest: `csv` and `tensorboard` write to `runs/` in the working directory,
    `trackio`, `wandb` and `mlflow` to where these are set up to."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if self.sharding and self.processes == 1:
            yield Problem("", "sharding", "splits a model over processes, and there is one: raise processes")
        if self.sharding and self.hold_zeros:
            yield Problem("", "sharding", "does not split held zeros: leave out hold_zeros")
        if self.validation is None:
            for name, value in (("patience", self.patience), ("evaluate_every", self.evaluate_every)):
                if value:
                    yield Problem("", name, f"is {value}, but there are no rows to evaluate on: give validation=")
        for error in missing_trackers(self.report_to):
            yield Problem("", "report_to", str(error))

    def placement(self) -> Placement:
        """Return a process of its own, with a GPU for each process that trains here, where there are any."""
        launch = launched()
        return replace(super().placement(), gpus=min(self.processes, launch.local_size if launch else self.processes))

    def form(self) -> Form | None:
        """Return a new parametrization of the weights for one training; None trains them as they are."""
        return None

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {
            "method": type(self).__name__,
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "schedule": self.schedule,
            "seed": self.seed,
            **({"zeros": "held"} if self.hold_zeros else {}),
        }
