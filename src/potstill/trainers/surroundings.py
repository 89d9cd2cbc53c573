"""What a running trainer's shared part needs besides the step's own surroundings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.context import Context

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.trainers.form import Form


@dataclass
class TrainingContext(Context):
    """A step's surroundings, with what every trainer shares and no single one has to hand on."""

    validation: Dataset | None = None
    """Rows to evaluate on."""
    shared: Path | None = None
    """Work folder of process 0, in the other processes of a training."""
    form: Form | None = None
    """The form that the weights take while they are trained."""

    @classmethod
    def around(cls, context: Context, **more: Any) -> TrainingContext:
        """Return `context` with `more`; notes, ledger and journals stay the same objects."""
        plain = {field.name: getattr(context, field.name) for field in dataclasses.fields(Context)}
        return cls(**{**plain, **more})


def with_surroundings(run: Callable[..., Path]) -> Callable[..., Path]:
    """Return a trainer's `run` that also takes `validation` rows, and runs in as many processes as the step says."""

    @wraps(run)
    def running(step: Any, *args: Any, validation: Dataset | None = None, **kwargs: Any) -> Path:
        given = signature(run).bind(step, *args, **kwargs).arguments
        context = given.get("context")
        if context is None or isinstance(context, TrainingContext):
            return run(step, *args, **kwargs)  # a trainer without one, or called by another trainer
        inputs = {name: value for name, value in list(given.items())[1:] if name != "context"}
        around = TrainingContext.around(context, validation=validation, form=step.form())
        folder = run(step, **inputs, context=around) if step.processes == 1 else _launched(run, step, inputs, around)
        if around.form is not None:
            around.form.publish(folder, context)
        return folder

    # what the pipeline is checked by: `wraps` alone would show the signature of `run`
    own = signature(run)
    given = Parameter("validation", Parameter.KEYWORD_ONLY, default=None)
    running.__signature__ = own.replace(parameters=[*own.parameters.values(), given])  # type: ignore[attr-defined]
    return running


def _launched(run: Callable[..., Path], step: Any, inputs: Mapping[str, Any], context: TrainingContext) -> Path:
    """Run the step as process 0 of several."""
    from potstill.trainers import launch

    share = dataclasses.replace(context, threads=max(1, context.threads // step.processes))
    order = launch.Order(step, inputs, context.step, context.key, share.threads, context.seed, context.validation)
    with launch.together(order, step.processes, context.work / "processes"):
        return run(step, **inputs, context=share)
