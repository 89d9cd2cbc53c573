"""The training loop: from a model, tokenized rows and an objective to trained weights; it resumes when killed.

`train` builds the `StudentTrainer`; `Reporter` and `Evaluator` are what it calls at each step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainingArguments

from potstill.trainers.loop import trackers
from potstill.trainers.loop.checkpoints import best_folder, best_step, drop_beaten, is_exhausted
from potstill.trainers.loop.examples import Examples
from potstill.trainers.loop.hf_trainer import StudentTrainer
from potstill.trainers.loop.objective import Objective
from potstill.trainers.loop.process_group import Group
from potstill.trainers.loop.schedule import CAUSAL, CURVE_POINTS, SCHEDULERS, WSD_DECAY, Reading, Schedule

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState

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
    if evaluator is not None:
        trainer.add_callback(evaluator)
    trainer.complete(total, context.logger)
    if evaluator is not None:
        evaluator.take_best()
    trainer.finish()
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


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Reports progress, losses and metrics to the run's display and to the step's log."""

    def __init__(self, trainer: StudentTrainer, context: Context) -> None:
        """Report the progress of `trainer` to `context`."""
        self._trainer = trainer
        self._context = context
        self._notes: dict[str, str] = {}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Report the step."""
        note = ", ".join(self._notes.values())
        self._context.progress(state.global_step, state.max_steps, tokens=self._trainer.tokens_seen, note=note)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        """Report what was measured."""
        for name in ("loss", "validation_loss"):
            if name in (logs or {}):
                self._notes[name] = shown(logs or {}, name)
                self._context.logger.info("step %d of %d: %s", state.global_step, state.max_steps, self._notes[name])


def shown(logs: Mapping[str, float], name: str) -> str:
    """Return a loss and the metrics beside it as a line of text.

    >>> shown({"loss": 1.25, "agreement": 0.8, "epoch": 1.0}, "loss")
    'loss 1.2500, agreement 80 %'
    """
    text = f"{name.replace('_', ' ')} {logs[name]:.4f}"
    return text + (f", agreement {100 * logs['agreement']:.0f} %" if "agreement" in logs else "")


class Evaluator(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Evaluates at intervals, keeps the best weights, and stops a training early that no longer improves.

    What it decides follows from the trainer's log alone, which is part of a checkpoint; so a run that was killed
    decides the same.
    """

    def __init__(self, trainer: StudentTrainer, validation: Examples, schedule: Schedule, folder: Path) -> None:
        """Evaluate `trainer` on `validation`; the best weights go below `folder`."""
        self._trainer = trainer
        self._validation = validation
        self._schedule = schedule
        self._folder = folder
        self._every = schedule.evaluate_every or schedule.steps_a_pass(len(trainer.train_dataset))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Evaluate if it is time, and at the very end."""
        if state.global_step % self._every and state.global_step < state.max_steps:
            return
        metrics = self._trainer.mean_loss(self._validation)
        due = control.should_log
        self._trainer.log({f"validation_{name}": value for name, value in metrics.items()})
        control.should_log = due  # `log` resets it, but the training loss of this step is still to be logged
        history = state.log_history
        writes = args.save_strategy != "no"
        if best_step(history) == state.global_step and writes:
            self._trainer.save_model(str(best_folder(self._folder, state.global_step)))
        if is_exhausted(history, self._schedule.patience):
            control.should_log = control.should_training_stop = True
            control.should_save = writes

    def take_best(self) -> None:
        """Load the best weights into the trained model, unless these are its last ones."""
        state = self._trainer.state
        best = best_step(state.log_history)
        if best is not None and best != state.global_step:
            self._trainer.restore(best_folder(self._folder, best))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Delete the weights that are no longer the best by the log in this checkpoint."""
        if not self._trainer.group.rank:
            drop_beaten(self._folder, state.log_history)
