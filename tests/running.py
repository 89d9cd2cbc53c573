"""Runs steps in a store of their own, for tests that look at the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potstill import Pipeline
from potstill.progress import Silent
from potstill.store import Artifact


def artifact_of(node: Any, store: Path) -> Artifact:
    """Run a step and all that it needs; return what it made."""
    return Pipeline("test", outputs={"made": node}).run(store=store, watcher=Silent())["made"]


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
