"""Ctrl-C and SIGTERM end a run, whatever a library makes of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, RequestError, Rows, Step
from potstill.engine.progress import Silent
from potstill.engine.records import Interrupted
from potstill.engine.running.executor import Local
from projects import Project, until


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
    assert [record.status for record in stop.value.run.records] == ["skipped", "skipped"]
    assert signal.getsignal(signal.SIGINT) is before
    assert not list(tmp_path.glob("artifacts/*"))  # what it has until then may be a part


STOPS_EARLY = """
import time
from pathlib import Path
from potstill import Pipeline, Step


class Trains(Step):
    def run(self):
        rows = [{"n": 1}]
        try:
            Path("started").touch()
            if not Path("again").exists():
                time.sleep(60)
            rows.append({"n": 2})
        except KeyboardInterrupt:
            print("stopped early")
        return rows


pipeline = Pipeline("p", outputs={"out": Trains(name="out")})
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_step_has_when_it_is_interrupted_is_not_its_result(tmp_path: Path, number: signal.Signals) -> None:
    project = Project(tmp_path)
    project.write(STOPS_EARLY)
    run = project.start("run", "pipe.py")
    until((tmp_path / "started").exists, "the step to start")
    run.send(number)
    assert run.wait().code == 130
    (tmp_path / "again").touch()
    assert project.values(project.run("--json"), "out", "n") == [1, 2]
