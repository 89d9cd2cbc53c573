"""What can go wrong, by the phase it goes wrong in; every message says what happened, the value, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def described(error: BaseException) -> str:
    """Return the type and the text of any error, also of one whose text can't be had or can't be written."""
    try:
        text = str(error)
    except BaseException as failure:  # noqa: BLE001 - a `__str__` of the user's own may raise anything
        text = f"(its text can't be had: {type(failure).__name__})"
    return f"{type(error).__name__}: {text}".encode("utf-8", "backslashreplace").decode()


class PotstillError(Exception):
    """Any error that Potstill raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a pipeline."""

    step: str
    """Name of the step, or empty when the pipeline as a whole is meant."""
    field: str
    """Field of the step, or empty."""
    message: str
    """What is wrong, the value, and what to do."""

    def __str__(self) -> str:
        """Render as `step.field: message`."""
        place = ".".join(part for part in (self.step, self.field) if part)
        return f"{place}: {self.message}" if place else self.message


class RequestError(PotstillError):
    """The request itself is wrong (exit code 2); nothing was run and nothing is lost."""

    def __init__(self, *problems: Problem | str) -> None:
        """Keep all `problems`, each once, so that they are reported together."""
        each = (problem if isinstance(problem, Problem) else Problem("", "", problem) for problem in problems)
        self.problems: Sequence[Problem] = tuple(dict.fromkeys(each))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BadArguments(RequestError, TypeError):
    """A step was built with arguments that it does not take, or without some that it needs."""


class NothingHasRun(RequestError, TypeError):
    """A step was used as if it were its result; a step is a plan, and its result exists after a run."""


class BadInput(RequestError):
    """A file, row or parameter that the user gave is wrong; raised inside a step it also means exit code 2."""


class StoreError(RequestError):
    """The store can't be read or written (full, read-only, not a folder); what is in it stays intact."""


class StepFailed(PotstillError):
    """A step raised, its process died, or it lost too many rows (exit code 1)."""

    def __init__(self, step: str, message: str) -> None:
        """Name the `step`; `message` says why it failed."""
        self.step = step
        self.message = message
        super().__init__(f"{step}: {message}")


class TooManyLost(PotstillError):
    """More rows were lost than the step's `max_failed` allows."""


class MissingExtra(RequestError):
    """An optional package is not installed; the message names the pip line."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        """Say that `feature` needs `package`, which `pip install "potstill[extra]"` brings."""
        line = f'pip install "potstill[{extra}]"'
        super().__init__(f"{feature} needs the package {package}, which is not installed: {line}")
