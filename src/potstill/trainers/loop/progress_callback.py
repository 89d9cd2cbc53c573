"""Progress of a training on the run's display and in the step's log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transformers import TrainerCallback

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from potstill.engine.context import Context
    from potstill.trainers.loop.hf_trainer import StudentTrainer


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
