"""What was measured goes to the trackers of the trainings behind it: once, and never for a hit."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

import running
from potstill import Metrics, Model, Rows, Step
from potstill.publishing.trackers import send
from potstill.steps import LoadRows, Report

ROWS = LoadRows([{"a": 1}])


class Train(Step):
    """Learns nothing, and reports to trackers."""

    rows: Rows
    report_to: tuple[str, ...] = ()
    makes: ClassVar[str] = "model"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"report_to"})

    def run(self, rows, context):
        (context.out / "config.json").write_text("{}")
        return context.out


class Measure(Step):
    """Measures a model."""

    model: Model
    makes: ClassVar[str] = "metrics"
    send_results = send

    def run(self, model):
        scores = {"n": 4, "exact_match": 0.75, "exact_match_low": 0.3, "exact_match_high": 0.95, "valid_json": 1.0}
        return {"sets": {"test": scores}, "weights_bytes": 1000, "engine": {"label": "m"}}


def run(store, *trackers):
    figures: Metrics = Measure(Train(ROWS, report_to=trackers), name="measured")
    return running.artifact_of(Report([figures], name="report"), store)


def test_figures_and_page_are_sent_once_and_a_hit_sends_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = run(tmp_path / "store", "csv")
    [figures] = Path("runs").glob("measured-*/figures.csv")
    [page] = Path("runs").glob("report-*/report.html")
    with figures.open() as file:
        sent = {row["figure"]: float(row["value"]) for row in csv.DictReader(file)}
    assert sent["test/exact_match"] == 0.75
    assert sent["weights_bytes"] == 1000
    assert page.read_bytes() == (report.path / "index.html").read_bytes()
    for file in (figures, page):
        file.unlink()
    run(tmp_path / "store", "csv")
    assert not [*Path("runs").glob("*/*")]


def test_without_a_tracker_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "store")
    assert not Path("runs").exists()


def test_a_tracker_that_fails_costs_no_result_and_gets_it_from_the_next_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("in the way")
    assert (run(tmp_path / "store", "csv").path / "index.html").is_file()
    Path("runs").unlink()
    run(tmp_path / "store", "csv")
    assert len([*Path("runs").glob("*/figures.csv"), *Path("runs").glob("*/report.html")]) == 2


def test_a_tracker_that_is_named_later_gets_what_the_others_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "store")
    run(tmp_path / "store", "csv")
    assert len([*Path("runs").glob("*/figures.csv"), *Path("runs").glob("*/report.html")]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["tensorboard", "trackio", "wandb", "mlflow"])
def test_a_library_takes_them(tmp_path, tracker):
    if importlib.util.find_spec(tracker) is None:
        pytest.skip(f"{tracker} is not installed (pip install potstill[{tracker}])")
    # in a process and a home of their own: these libraries keep threads, and files where the user lives
    environment = os.environ | {
        "HOME": str(tmp_path),
        "WANDB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "DO_NOT_TRACK": "1",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]),
    }
    script = f"import test_trackers, pathlib; test_trackers.run(pathlib.Path('store'), {tracker!r})"
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "did not take" not in process.stdout + process.stderr
    names = {"tensorboard": "runs/measured-*/events.*", "trackio": "trackio/**/*", "wandb": "wandb/**/*.wandb"}
    assert [*tmp_path.glob(names.get(tracker, "mlflow.db"))]
