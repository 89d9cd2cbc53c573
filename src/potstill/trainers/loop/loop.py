"""The training loop: from a model, tokenized rows and an objective to trained weights; it resumes when killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments

from potstill.trainers.loop import trackers
from potstill.trainers.loop.evaluation_callback import Evaluator
from potstill.trainers.loop.examples import Examples
from potstill.trainers.loop.hf_trainer import StudentTrainer
from potstill.trainers.loop.objective import Objective
from potstill.trainers.loop.process_group import Group
from potstill.trainers.loop.progress_callback import Reporter
from potstill.trainers.loop.schedule import CAUSAL, CURVE_POINTS, SCHEDULERS, WSD_DECAY, Reading, Schedule

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.trainers.loop.context import TrainingContext


def train(
    model: PretrainedModel,
    examples: Examples,
    objective: Objective,
    schedule: Schedule,
    context: TrainingContext,
    reading: Reading = CAUSAL,
) -> StudentTrainer:
    """Train `model` in place, from the last checkpoint in the work folder if there is one; return the trainer.

    With validation rows among the `examples` the model ends with the weights that had the lowest loss on them.
    Checkpoints hold float32 weights, the states of optimizer, scheduler and random generators; the order of rows
    follows from seed and epoch. So a run that was killed ends with the same weights as one that was not, to the last
    bit if both ran on one kind of processor with as many threads.
    """
    folder = context.common_work / "checkpoints"
    total = schedule.steps(len(examples))
    group = Group.current()
    arguments = _arguments(folder, schedule, total, group, context)
    ids = context.common_work / "examples"
    trainer = _trainer_class(schedule, group)(model, arguments, examples, objective, schedule, reading, group, ids)
    trainer.add_callback(Reporter(trainer, context))
    validation = examples.validation
    evaluator = None if validation is None else Evaluator(trainer, validation, schedule, folder)
    trainer.complete(total, context.logger, evaluator)
    return trainer


def _trainer_class(schedule: Schedule, group: Group) -> type[StudentTrainer]:
    """Return the trainer for a model that each process holds whole, or for one that is sharded."""
    if not schedule.sharding or group.size == 1:
        return StudentTrainer
    from potstill.trainers.loop.fsdp import ShardedTrainer

    return ShardedTrainer


def _arguments(folder: Path, schedule: Schedule, total: int, group: Group, context: Context) -> Any:
    """Return the arguments of `transformers.Trainer`.

    Raises:
        MissingExtra: the library of a tracker is not installed.
    """
    log_every = max(1, total // CURVE_POINTS)
    cuda = torch.cuda.is_available()
    libraries = [tracker for tracker in schedule.report_to if tracker != "csv" and not group.rank]
    if libraries:
        trackers.check_trackers(libraries)
        trackers.direct_tensorboard(context)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=schedule.epochs,
        # one "batch" of the loader is a whole batch: micro-batches are cut in StudentTrainer, not by accumulation steps
        per_device_train_batch_size=schedule.batch_size,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=SCHEDULERS[schedule.decay],
        lr_scheduler_kwargs=_shape(schedule, total),
        warmup_steps=math.ceil(schedule.warmup * total),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.clip,
        seed=schedule.seed,
        optim="paged_adamw_32bit" if schedule.paged and cuda else "adamw_torch_fused",
        bf16=schedule.bf16,
        use_cpu=not cuda,
        gradient_checkpointing=schedule.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_strategy="steps",
        logging_steps=log_every,
        # by default the Trainer logs a mean of earlier losses in place of NaN
        logging_nan_inf_filter=False,
        # without sharding process 0 has all weights and writes alone; sharded, all take part in gathering them
        save_strategy="no" if group.rank and not schedule.sharding else "steps",
        # checkpoints fall on logged steps: the sums between two logs are not part of a checkpoint
        save_steps=-(-schedule.checkpoint_every // log_every) * log_every,
        save_total_limit=1,
        report_to=libraries,
        run_name=context.step,
        project="potstill",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=cuda,
        remove_unused_columns=False,
    )
    if cuda:
        # with several visible GPUs the Trainer would wrap the model in DataParallel
        arguments._n_gpu = 1
    return arguments


def _shape(schedule: Schedule, total: int) -> dict[str, Any]:
    """Return further arguments of the learning rate's scheduler."""
    if schedule.decay != "wsd":
        return {}
    return {"num_decay_steps": max(1, math.ceil(WSD_DECAY * total)), "decay_type": "1-sqrt"}
