"""What all trainers share: their fields, and the way from rows in tokens to trained weights."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput
from potstill.step import Model, Rows, Step
from potstill.trainers import student as students

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasets import Dataset

    from potstill.context import Context
    from potstill.trainers.examples import Example, Examples
    from potstill.trainers.loop import Objective, Reading, Schedule


class Training(Step):
    """The fields of every trainer; a subclass says what is learned.

    Trains in float32 (bfloat16 arithmetic where that is faster), with AdamW. Every target of a batch weighs the same.
    Rows that can't be trained on are left out and counted with the reason. A killed run goes on from its last
    checkpoint.
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    unkeyed: ClassVar[frozenset[str]] = frozenset({"micro_batch_tokens", "checkpoint_every"})

    rows: Rows
    """Rows to learn from."""
    _: KW_ONLY
    student: Model
    """Model to train: a step, a local folder or a Hub id."""
    epochs: Annotated[float, Gt(0)] = 3.0
    """Passes over the rows."""
    learning_rate: Annotated[float, Gt(0)] | None = None
    """Highest learning rate. None takes one for the student's size (1e-3 at a million parameters or less, 4e-5 at 0.6
    billion), and 2e-4 for adapters."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Shape of the learning rate's way down to 0."""
    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Rows a step; part of the result, unlike `micro_batch_tokens`."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW, for matrices."""
    clip: Annotated[float, Gt(0)] = 1.0
    """Highest norm of the gradient."""
    seed: int = 0
    """Seed of the order of rows, of new weights and of dropout."""
    micro_batch_tokens: Annotated[int, Ge(1)] = 4096
    """Tokens computed at once, padding included: sets the memory, not the result, as a batch's gradients add up."""
    checkpoint_every: Annotated[int, Ge(1)] = 100
    """Steps between checkpoints: what a kill can cost at most."""

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {
            "method": type(self).__name__,
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "schedule": self.schedule,
            "seed": self.seed,
        }


def start(context: Context) -> None:
    """Set up the libraries of a trainer's process."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(max(1, context.threads))


def stored(rows: Dataset, example_of: Callable[[Mapping[str, Any]], Example | str], context: Context) -> Examples:
    """Return the rows in tokens; those that `example_of` gives a reason for instead are left out and counted.

    Raises:
        BadInput: no row is left to train on.
    """
    from potstill.trainers.examples import store

    lost = Counter[str]()

    def examples() -> Iterator[Example]:
        for number, row in enumerate(rows):
            made = example_of(row)
            if isinstance(made, str):
                lost[made] += 1
                context.ledger.lose(str(row.get("id", number)), "filtered", made)
            else:
                context.ledger.keep()
                yield made

    kept = store(examples(), context.work / "examples")
    if not len(kept):
        reasons = ", ".join(f"{count} x {reason}" for reason, count in lost.most_common()) or "there is none"
        raise BadInput(f"no row to train on: {reasons}")
    if lost:
        context.logger.warning("left out %d of %d rows: %s", lost.total(), lost.total() + len(kept), dict(lost))
    return kept


def learn(
    model: Any, examples: Examples, objective: Objective, schedule: Schedule, reading: Reading, context: Context
) -> dict[str, float]:
    """Train `model` in place; return the figures for its card: nothing that a resumed run would tell differently."""
    from potstill.trainers import loop

    started = time.perf_counter()
    trainer = loop.train(model, examples, objective, schedule, context, reading)
    figures = _figures(trainer, examples, schedule)
    context.notes |= {
        "curve": [entry for entry in trainer.state.log_history if "loss" in entry],
        "learning_rate": schedule.learning_rate,
        "precision": "bfloat16" if schedule.bf16 else "float32",
        "tokens_per_second": round(trainer.tokens_seen / (time.perf_counter() - started), 1),
        **figures,
    }
    return figures


def schedule_of(step: Training, usual_rate: float) -> Schedule:
    """Return how `step` trains; `usual_rate` is the learning rate where none is given."""
    from potstill.trainers.loop import Schedule

    return Schedule(
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate or usual_rate,
        decay=step.schedule,
        warmup=step.warmup,
        weight_decay=step.weight_decay,
        clip=step.clip,
        seed=step.seed,
        budget=step.micro_batch_tokens,
        checkpoint_every=step.checkpoint_every,
        bf16=students.trains_in_bf16(),
    )


def _figures(trainer: Any, examples: Examples, schedule: Schedule) -> dict[str, float]:
    """Return what the model card tells of the training."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "rows": len(examples),
        "steps": schedule.steps(len(examples)),
        "target tokens": int(examples.targets[-1]),
        **({"last loss": losses[-1]} if losses else {}),
    }
