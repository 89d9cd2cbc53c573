"""Ctrl-C and SIGTERM end a run, whatever a library makes of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, RequestError, Rows, Step
from potstill.executor import Local
from potstill.progress import Silent
from potstill.records import Interrupted


class Swallows(Step):
    how: str = "raises"

    def run(self) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            if self.how == "raises":
                raise RuntimeError("a library's own error") from None
            if self.how == "refuses":
                raise RequestError("a library's own error") from None
        return [{"n": 1}]


class After(Step):
    rows: Rows

    def run(self, rows: Any) -> Any:
        raise AssertionError("the run went on")


@pytest.mark.parametrize("how", ["raises", "refuses", "goes on"])
def test_a_step_that_swallows_the_interrupt_is_the_end_of_the_run(tmp_path: Path, how: str) -> None:
    pipeline = Pipeline("p", outputs={"after": After(Swallows(how))})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as stop:
        pipeline.run(store=tmp_path, executor=Local(forks=False), watcher=Silent())
    assert [record.status for record in stop.value.run.records] == ["ran" if how == "goes on" else "skipped", "skipped"]
    assert signal.getsignal(signal.SIGINT) is before
