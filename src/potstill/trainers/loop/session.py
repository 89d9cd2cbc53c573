"""The session of a training: the schedule that its fields ask for, and from tokenized rows to trained weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from potstill.engine.running import out_of_memory
from potstill.errors import BadInput, PotstillError
from potstill.models.embeddings import check_tokens, embedded_tokens
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.checkpoints import VALIDATION, best_step, evaluations
from potstill.trainers.loop.trackers import tracker_folder, write_csv

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.trainers.loop.base import Training
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Examples
    from potstill.trainers.loop.hf_trainer import StudentTrainer
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Reading, Schedule


def schedule_of(step: Training, usual_rate: float, paged: bool = False) -> Schedule:
    """Return the schedule of `step`; `usual_rate` is the learning rate where none is given.

    The state of a `paged` optimizer moves to the CPU when the GPU is full, as in QLoRA.

    Raises:
        BadInput: this machine can't train in that way.
    """
    from potstill.trainers.loop.schedule import Schedule

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
        return precision == "auto" and trains_in_bf16()
    # emulated bfloat16 counts as supported by default, and is slower than float32
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise BadInput(
            f"precision is bfloat16, which {torch.cuda.get_device_name()} does not compute: set precision='float32', "
            "or 'auto' to take what the machine has"
        )
    return True


def trains_in_bf16() -> bool:
    """Return whether bfloat16 is the faster type here: on a GPU that has it, and on a CPU with AMX tiles.

    AVX-512 BF16 alone is not enough: measured on two cores that have it, matrix products took twice as long as in
    float32 and attention's backward pass five times as long.
    """
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def learn(
    model: PretrainedModel,
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
        BadInput: a row has a token that the model lacks.
        PotstillError: memory ran out, or a loss or gradient was NaN or infinite.
    """
    from potstill.trainers.loop import loop, lora
    from potstill.trainers.loop.launcher import LearnedError

    check_tokens(int(examples.tokens.max()), embedded_tokens(model))
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


@contextmanager
def memory_explained(schedule: Schedule) -> Iterator[None]:
    """Add to an out-of-memory error what to change.

    Raises:
        PotstillError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory.ran_out(error):
            raise
        raise PotstillError(out_of_memory.explained(error, "while training", _remedies(schedule))) from error


def _remedies(schedule: Schedule) -> str:
    """Return what to change, the cheapest first."""
    checkpointing = "" if schedule.gradient_checkpointing else "set gradient_checkpointing=True, "
    adapters = "" if schedule.paged else ", or train a language model with qlora=True"
    return (
        f"lower micro_batch_tokens ({schedule.budget} now; it changes no result), {checkpointing}"
        f"take shorter rows (max_length) or a smaller batch_size ({schedule.batch_size} now){adapters}"
    )


def _metrics(trainer: StudentTrainer, examples: Examples, schedule: Schedule) -> dict[str, float]:
    """Return the metrics of a training for the model card."""
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return {
        "rows": len(examples),
        "steps": trainer.state.global_step,
        "target tokens": int(examples.targets[-1]),
        **({"last loss": losses[-1]} if losses else {}),
        **({} if examples.validation is None else _best_of(history)),
    }


def _best_of(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return which evaluation was the best, if there was one."""
    best = best_step(history)
    return {} if best is None else {"best step": best, "validation loss": dict(evaluations(history))[best]}


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
    if points := [entry for entry in history if VALIDATION in entry]:
        context.notes["evaluations"] = points
    if "csv" in schedule.report_to and not trainer.group.rank:
        write_csv(history, tracker_folder(context))
