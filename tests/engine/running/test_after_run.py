"""A step that sends its result is asked once, when its artifact is in the store; not for a hit or a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

import running
from potstill import Rows, Step
from potstill.engine.running.after_run import NAMESPACE
from potstill.engine.store.artifacts import Store
from potstill.errors import PotstillError
from potstill.steps import LoadRows

ROWS = LoadRows([{"a": 1}], name="rows")


class Measure(Step):
    """Measures, and writes down what it is asked to send."""

    rows: Rows
    log: str
    fails: bool = False
    refused: int = 0
    makes: ClassVar[str] = "metrics"

    def run(self, rows):
        if self.fails:
            raise ValueError("no figures")
        return {"rows": len(rows)}

    def refuses(self):
        tries = Path(f"{self.log}.tries")
        tries.write_text(tries.read_text() + "." if tries.exists() else ".")
        return len(tries.read_text()) <= self.refused

    def send_results(self, artifact, before, sent):
        if "log" in sent:
            return
        if not (artifact.path / "metrics.json").is_file() or self.refuses():
            yield "refused"
            return
        sent.add("log")
        line = {
            "metrics": json.loads((artifact.path / "metrics.json").read_text()),
            "before": [one.name for one in before],
        }
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        yield "a warning"


def test_it_is_sent_once_and_a_hit_sends_nothing(tmp_path):
    step = Measure(ROWS, log=str(tmp_path / "log"))
    for _ in range(2):
        running.artifact_of(step, tmp_path / "store")
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line) == {"metrics": {"rows": 1}, "before": ["rows"]}


def test_a_step_that_fails_sends_nothing(tmp_path):
    with pytest.raises(PotstillError):
        running.artifact_of(Measure(ROWS, log=str(tmp_path / "log"), fails=True), tmp_path / "store")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("refused", [1, 2])
def test_what_was_refused_is_sent_by_the_next_run_and_once(tmp_path, refused):
    step = Measure(ROWS, log=str(tmp_path / "log"), refused=refused)
    for _ in range(refused + 2):
        running.artifact_of(step, tmp_path / "store")
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_what_a_killed_run_did_not_send_is_sent_by_the_next_one_and_once(tmp_path):
    script = (
        "import os, signal, sys; import test_after_run as tests, running, pathlib\n"
        "tests.Measure.send_results = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "here = pathlib.Path(sys.argv[1]); tests.once(here)\n"
    )
    environment = {"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path]), "PATH": "/usr/bin:/bin"}
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "log").exists()
    for _ in range(2):
        once(tmp_path)
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_result_from_before_results_were_remembered_is_not_sent_again(tmp_path):
    step = Measure(ROWS, log=str(tmp_path / "log"))
    running.artifact_of(step, tmp_path / "store")
    Store(tmp_path / "store").journal.drop(NAMESPACE)
    running.artifact_of(step, tmp_path / "store")
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def once(folder):
    """Run the step with its files in a folder."""
    running.artifact_of(Measure(ROWS, log=str(folder / "log")), folder / "store")
