"""Progress of a training on the run's display and in the step's log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING:
    from potstill.engine.context import Context


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Reports progress, losses and metrics to the run's display and to the step's log."""

    def __init__(self, context: Context) -> None:
        """Report to `context`."""
        self._context = context
        self._notes: dict[str, str] = {}
        self.tokens: Callable[[], int] = lambda: 0
        """Returns the number of tokens computed so far."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the step."""
        note = ", ".join(self._notes.values())
        self._context.progress(state.global_step, state.max_steps, tokens=self.tokens(), note=note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:
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
