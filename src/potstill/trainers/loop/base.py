"""What all trainers share: their fields, and the way from tokenized rows to trained weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.engine.step import Model, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.preload import TRAINER
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.checkpoints import VALIDATION, best_step, evaluations
from potstill.trainers.loop.token_store import stored as stored
from potstill.trainers.loop.trackers import Tracker, check_trackers, missing_trackers, tracker_folder, write_csv

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Examples
    from potstill.trainers.loop.hf_trainer import StudentTrainer
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.parametrization import Form
    from potstill.trainers.loop.schedule import Reading, Schedule


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
    """Whether the processes split weights, gradients and optimizer state (FSDP), for a student that one GPU can hold
    but not train."""
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


def start(context: Context) -> None:
    """Set up the libraries of a trainer's process."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(max(1, context.threads))


def learn(
    model: Any,
    examples: Examples,
    objective: Objective,
    schedule: Schedule,
    reading: Reading,
    context: TrainingContext,
    more: bool = False,
) -> dict[str, float]:
    """Train `model` in place; return the metrics for its card: only those that a resumed run would have the same.

    A step that trains several times sets `more` for all but the last: the other processes then go on with it.

    Raises:
        PotstillError: memory ran out, or a loss or gradient was NaN or infinite.
    """
    from potstill.trainers.loop import loop, lora
    from potstill.trainers.loop.failure_messages import memory_explained
    from potstill.trainers.loop.launcher import LearnedError

    form = context.form
    if form is not None:
        # first: it may replace layers, and the hooks that hold zeros are on their weights
        objective = form.begin(model, objective, schedule, math.ceil(schedule.epochs * int(examples.targets[-1])))
    if schedule.hold_zeros:
        hold = lora.hold_zero_weights if hasattr(model, "peft_config") else students.hold_zero_weights
        context.notes["zeros_held"] = hold(model)
    started = time.perf_counter()
    with memory_explained(schedule):
        trainer = loop.train(model, examples, objective, schedule, context, reading)
    if trainer.group.rank and not more:
        raise LearnedError
    if form is not None:
        form.end(model, context)
    metrics = _metrics(trainer, examples, schedule)
    _note(trainer, schedule, time.perf_counter() - started, context)
    context.notes |= metrics
    return metrics


def _note(trainer: StudentTrainer, schedule: Schedule, seconds: float, context: Context) -> None:
    """Note the curve, the speed and the memory of a training, which are no part of the result."""
    from potstill.trainers.loop import hf_trainer

    history = trainer.state.log_history
    curve = [entry for entry in history if "loss" in entry]
    context.notes |= {
        "curve": curve,
        "learning_rate": schedule.learning_rate,
        "precision": "bfloat16" if schedule.bf16 else "float32",
        "processes": trainer.group.size,
        "tokens_per_second": round(trainer.tokens_seen / seconds, 1),
        "peak_memory_bytes": hf_trainer.peak_memory(),
    }
    if evaluations(history):
        context.notes["evaluations"] = [entry for entry in history if VALIDATION in entry]
    if "csv" in schedule.report_to and not trainer.group.rank:
        write_csv(history, tracker_folder(context))


def schedule_of(step: Training, usual_rate: float, paged: bool = False) -> Schedule:
    """Return the schedule of `step`; `usual_rate` is the learning rate where none is given.

    The state of a `paged` optimizer moves to the CPU when the GPU is full, as in QLoRA.

    Raises:
        BadInput: this machine can't train in that way.
    """
    from potstill.trainers.loop.schedule import Schedule

    check_trackers(step.report_to)
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
        bf16=in_bf16(step.precision),
        evaluate_every=step.evaluate_every,
        patience=step.patience,
        gradient_checkpointing=step.gradient_checkpointing,
        sharding=step.sharding,
        paged=paged,
        report_to=step.report_to,
        hold_zeros=step.hold_zeros,
    )


def in_bf16(precision: str) -> bool:
    """Return whether a model computes in bfloat16.

    Raises:
        BadInput: it is asked for, and the GPU does not support it.
    """
    import torch

    if precision != "bfloat16":
        return precision == "auto" and students.trains_in_bf16()
    # emulated bfloat16 counts as supported by default, and is slower than float32
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise BadInput(
            f"precision is bfloat16, which {torch.cuda.get_device_name()} does not compute: set precision='float32', "
            "or 'auto' to take what the machine has"
        )
    return True


def _metrics(trainer: StudentTrainer, examples: Examples, schedule: Schedule) -> dict[str, float]:
    """Return the metrics of a training for the model card."""
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    validation_losses = dict(evaluations(history))
    best = best_step(history)
    return {
        "rows": len(examples),
        "steps": trainer.state.global_step,
        "target tokens": int(examples.targets[-1]),
        **({"last loss": losses[-1]} if losses else {}),
        **({"best step": best, "validation loss": validation_losses[best]} if best is not None else {}),
    }
