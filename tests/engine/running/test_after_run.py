"""A step that sends its result is asked once, when its artifact is in the store; not for a hit or a failure."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

import running
from potstill import Rows, Step
from potstill.errors import PotstillError
from potstill.steps import LoadRows

ROWS = LoadRows([{"a": 1}], name="rows")


class Measure(Step):
    """Measures, and writes down what it is asked to send."""

    rows: Rows
    log: str
    fails: bool = False
    makes: ClassVar[str] = "metrics"

    def run(self, rows):
        if self.fails:
            raise ValueError("no figures")
        return {"rows": len(rows)}

    def send_results(self, artifact, before):
        sent = {
            "metrics": json.loads((artifact.path / "metrics.json").read_text()),
            "before": [one.name for one in before],
        }
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(sent) + "\n")
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
