"""Evaluation while a student trains: the weights with the lowest loss on the validation rows are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerCallback

from potstill.trainers.loop.checkpoints import best_folder, best_step, drop_beaten, is_exhausted

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from potstill.trainers.loop.examples import Examples
    from potstill.trainers.loop.hf_trainer import StudentTrainer
    from potstill.trainers.loop.schedule import Schedule


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
            self._trainer._load_from_checkpoint(str(best_folder(self._folder, best)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Delete the weights that are no longer the best by the log in this checkpoint."""
        if not self._trainer.group.rank:
            drop_beaten(self._folder, state.log_history)
