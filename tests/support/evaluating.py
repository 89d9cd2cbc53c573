"""Contexts for steps that measure a model and for their report, without a store behind them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from potstill.engine.context import Ancestor, Context, Progress, silent
from potstill.engine.ledger import Ledger


def context(folder: Path, progress: Progress = silent) -> Context:
    """Return a context that writes into `folder` and has no journal."""
    return Context("evaluate", "key", folder, folder, None, None, Ledger(), logging.getLogger(), progress=progress)  # type: ignore[arg-type]


def report_context(folder: Path, names: Iterable[str], lineage: Sequence[Ancestor] = ()) -> Context:
    """Return the context of a report that is written into `folder` of what the evaluations `names` returned."""
    folder.mkdir(parents=True, exist_ok=True)
    return Context(
        "report",
        "key",
        folder,
        folder,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        Ledger(),
        logging.getLogger(),
        lineage=tuple(lineage),
        inputs={"evaluations": list(names)},
    )
