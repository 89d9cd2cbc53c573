"""The context of a trainer's `run`: the step's context, validation rows, and the other processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from potstill.engine.context import Context
from potstill.engine.running.ranks import launched

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.trainers.loop.parametrization import Form


class Trainable(Protocol):
    """What is read of a trainer here."""

    @property
    def processes(self) -> int:
        """Return how many processes train together."""

    def form(self) -> Form | None:
        """Return the parametrization of the weights in training, if any."""


@dataclass
class TrainingContext(Context):
    """A step's context, with what every trainer needs and none has to pass on itself."""

    validation: Dataset | None = None
    """Rows to evaluate on."""
    common_work: Path = Path()
    """Work folder that all processes of a training read: that of process 0."""
    form: Form | None = None
    """The parametrization of the weights in training, if any."""

    @classmethod
    def around(cls, context: Context, validation: Dataset | None, form: Form | None) -> TrainingContext:
        """Return a copy of `context` with more fields; notes, ledger and journals stay the same objects."""
        plain = {field.name: getattr(context, field.name) for field in dataclasses.fields(Context)}
        return cls(**plain, validation=validation, common_work=context.work, form=form)


@contextmanager
def set_up(
    step: Trainable, inputs: Mapping[str, Any], context: Context, validation: Dataset | None
) -> Iterator[TrainingContext]:
    """Yield the context that the `run` of a trainer trains in; it must write its model to `context.out` before it ends.

    `inputs` are the arguments of `run` by name, but for `context` and `validation`: where the step asks for several
    processes, the others call `run` with the same. In one of those, or in a trainer that another one runs, all is set
    up already, and `context` is returned as it is.
    """
    if isinstance(context, TrainingContext):
        _start(context)
        yield context
        return
    training = TrainingContext.around(context, validation, step.form())
    if step.processes == 1:
        _start(training)
        yield training
    else:
        with _launched(step, inputs, training) as process:
            _start(process)
            yield process
    if training.form is not None:
        training.form.publish(context.out, context)


def _start(context: Context) -> None:
    """Set up the libraries of a trainer's process."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(max(1, context.threads))


@contextmanager
def _launched(step: Trainable, inputs: Mapping[str, Any], training: TrainingContext) -> Iterator[TrainingContext]:
    """Start the other processes; yield the context of process 0."""
    from potstill.trainers.loop import launcher

    launch = launched()
    here = launch.local_size if launch else step.processes
    process = dataclasses.replace(training, threads=max(1, training.threads // here))
    order = launcher.Order(step, inputs, process.step, process.key, process.threads, process.seed, process.validation)
    with launcher.together(order, step.processes, process.work / "processes"):
        yield process
