"""Runs in this process, for what tests of runs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from counting import LOG
from potstill import Pipeline
from potstill.engine.progress import Silent
from potstill.engine.records import Run
from potstill.engine.running.executor import Local


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """Runs in this process, where the steps say in memory that they ran; `test_forks.py` is about forks."""

    def go(outputs: Mapping[str, Any], name: str = "p", **options: Any) -> Run:
        own = Local(options.get("jobs", 1), forks=False)
        options = {"store": tmp_path / "store", "watcher": Silent(), "executor": own, **options}
        try:
            return Pipeline(name, outputs=outputs).execute(**options)
        finally:
            own.close()

    return go


@pytest.fixture
def ran(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOG.name]
