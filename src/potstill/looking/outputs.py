"""Which artifact is meant by the name of an output or a step: of one pipeline's last run, or of any pipeline's."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from potstill.engine.inventory import complete_key, whole_artifact
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.run_history import RunHistory, histories
from potstill.errors import RequestError


@dataclass(frozen=True)
class RunOutput:
    """An output of a pipeline's last run."""

    pipeline: str
    """Name of the pipeline."""
    file: str
    """The pipeline's file, or nothing."""
    name: str
    """The output's name."""
    key: str
    """Key of what it is; empty where the run did not come so far."""
    error: str = ""
    """Why it is not there."""

    def __str__(self) -> str:
        """Return what it is called on a command line."""
        return f"{self.pipeline}:{self.name}"


def named(store: Store, wanted: str) -> tuple[Artifact, str]:
    """Return the artifact that is meant by `wanted`, and its short name.

    Args:
        store: where it lies.
        wanted: an artifact's key, or the start of one; `PIPELINE:OUTPUT`; or the name of an output of the last run, if
            no other pipeline has one of that name. A file's name stands for its pipeline as well.

    Raises:
        RequestError: nothing is called so, with the nearest names; several are, which are listed; it is not whole.
    """
    outputs = list(last_outputs(store))
    fitting = [output for output in outputs if _is_meant(output, wanted)]
    if len({output.key for output in fitting}) > 1:
        listed = ", ".join(f"{output} ({output.key or 'not there'})" for output in fitting)
        raise RequestError(f"{wanted!r} may be {listed}: give PIPELINE:OUTPUT, or the key")
    if fitting:
        output = fitting[0]
        if not output.key:
            raise RequestError(f"the last run of {output.pipeline} has no {output.name}: {output.error or 'run it'}")
        return whole_artifact(store, output.key), output.name
    try:
        artifact = whole_artifact(store, complete_key(store, wanted))
    except RequestError as error:
        names = [*map(str, outputs), *(output.name for output in outputs)]
        near = difflib.get_close_matches(wanted, dict.fromkeys(names), n=3)
        if not near or (":" not in wanted and " is not complete" in str(error)):
            raise
        raise RequestError(f"nothing in {store.root} is called {wanted!r}: did you mean {' or '.join(near)}?") from None
    return artifact, str(artifact.manifest["name"])


def key_of(store: Store, wanted: str) -> str:
    """Return the key that is meant by `wanted`, also of a step that has not finished or failed.

    Args:
        store: where it lies.
        wanted: a key, or the start of one; `PIPELINE:NAME`, or the name, of an output or a step of the last run.

    Raises:
        RequestError: nothing is called so, or several are, which are listed.
    """
    called: dict[str, RunOutput] = {}
    for one in (*last_outputs(store), *_last_steps(store)):
        if one.key and _is_meant(one, wanted):
            called.setdefault(one.key, one)
    if len(called) > 1:
        listed = ", ".join(f"{one} ({key})" for key, one in called.items())
        raise RequestError(f"{wanted!r} may be {listed}: give PIPELINE:NAME, or the key")
    if called:
        return next(iter(called))
    try:
        return complete_key(store, wanted)
    except RequestError:
        # of a step that failed before anything was written, only the history of runs knows
        began = {one.key for one in _last_steps(store) if wanted and one.key.startswith(wanted)}
        if len(began) != 1:
            raise
        return began.pop()


def last_outputs(store: Store) -> Iterator[RunOutput]:
    """Yield the outputs of the last run of each pipeline, those of the latest run first."""
    seen: set[tuple[str, str, str]] = set()
    for run in sorted(histories(store.root), key=lambda run: run.began, reverse=True):
        for output in _outputs(run):
            place = (output.pipeline, output.file, output.name)
            if place not in seen:
                seen.add(place)
                yield output


def _outputs(run: RunHistory) -> Iterator[RunOutput]:
    """Yield the outputs of one run."""
    steps = {step.name: step for step in run.steps}
    for name, step_name in run.outputs.items():
        step = steps.get(step_name)
        key = step.key if step and step.state in ("ran", "hit", "kept") else ""
        error = (step.error or f"its step {step_name} is {step.state}") if step else ""
        yield RunOutput(run.origin.pipeline, run.origin.file, name, key, error)


def _last_steps(store: Store) -> Iterator[RunOutput]:
    """Yield the steps of the last run of each pipeline as if each were an output."""
    seen: set[tuple[str, str]] = set()
    for run in sorted(histories(store.root), key=lambda run: run.began, reverse=True):
        place = (run.origin.pipeline, run.origin.file)
        if place not in seen:
            seen.add(place)
            yield from (RunOutput(*place, step.name, step.key, step.error) for step in run.steps)


def _is_meant(output: RunOutput, wanted: str) -> bool:
    """Return whether an output is called so."""
    pipeline, _, name = wanted.rpartition(":")
    if wanted == output.name:
        return True
    files = (output.file, PurePath(output.file).name) if output.file else ()
    return bool(pipeline) and name == output.name and pipeline in (output.pipeline, *files)
