"""Runs steps in a store of their own, for tests that look at the rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from potstill import Pipeline, Step
from potstill.engine.context import Progress
from potstill.engine.progress import Silent
from potstill.engine.running.execute import execute
from potstill.engine.running.executor import Local
from potstill.engine.running.spec import Outcome, Spec
from potstill.engine.store.artifacts import Artifact


class Here:
    """Runs all steps in this process, which has loaded its libraries already: heavy ones too."""

    def hold(self, steps: Sequence[Step]) -> AbstractContextManager[None]:
        """Keep nothing: the steps run where they were built."""
        return nullcontext()

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Run a step at once."""
        future: Future[Outcome] = Future()
        future.set_result(execute(spec, fields, progress))
        return future

    def close(self) -> None:
        """Do nothing: nothing is left."""


def artifact_of(node: Any, store: Path, *, here: bool = False) -> Artifact:
    """Run a step and all that it needs, light ones (or all) in this process; return what it made."""
    with closing(Here() if here else Local(forks=False)) as place:
        return Pipeline("test", outputs={"made": node}).run(store=store, watcher=Silent(), executor=place)["made"]


def rows_of(node: Any, store: Path) -> list[dict[str, Any]]:
    """Run a step that makes rows and return them."""
    return artifact_of(node, store).dataset().to_list()


def problems_of(node: Any) -> list[str]:
    """Return what is said to be wrong before anything runs."""
    from potstill import RequestError

    try:
        Pipeline("test", outputs={"made": node}).check()
    except RequestError as error:
        return [str(problem) for problem in error.problems]
    return []
