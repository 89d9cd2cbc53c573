"""A context for steps that measure a model, without a store behind it."""

from __future__ import annotations

import logging
from pathlib import Path

from potstill.engine.context import Context, Progress, silent
from potstill.engine.ledger import Ledger


def context(folder: Path, progress: Progress = silent) -> Context:
    """Return a context that writes into `folder` and has no journal."""
    return Context("evaluate", "key", folder, folder, None, None, Ledger(), logging.getLogger(), progress=progress)  # type: ignore[arg-type]
