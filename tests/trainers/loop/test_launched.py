"""Processes that `torchrun` or `srun` start: the first drives the run, the others train with it, and all end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import learning
from potstill import RequestError
from potstill.engine.running.ranks import Launch, launched
from potstill.engine.running.services import free_port

PIPELINE = """
import json
from potstill import Pipeline
from potstill.steps import LoadRows
from potstill.trainers import HardLabel

rows = LoadRows(json.loads({rows!r}))
model = HardLabel(rows, student={student!r}, epochs=2, batch_size=4, processes={processes}, precision="float32")
pipeline = Pipeline("launched", outputs={{"model": model}})
if __name__ == "__main__":
    print("SAYS", pipeline.run(store={store!r})["model"].key)
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "{port}"]


@pytest.fixture
def project(tmp_path: Path, student: Path) -> Any:
    def make(processes: int = 2) -> Path:
        file = tmp_path / "pipe.py"
        text = json.dumps(learning.rows(9))
        store = str(tmp_path / "store")
        file.write_text(PIPELINE.format(rows=text, student=str(student), processes=processes, store=store))
        return file

    return make


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    line = [part.replace("{port}", str(free_port())) for part in command]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment(**more), check=False)


def on_the_command_line(file: Path, store: Path) -> list[str]:
    return ["-m", "potstill", "run", str(file), "--store", str(store), "--json", "--threads", "2"]


def outcome(text: str) -> dict[str, Any]:
    (line,) = [line for line in text.splitlines() if line.startswith("{")]
    return dict(json.loads(line))


@pytest.mark.slow
def test_torchrun_trains_what_we_would_and_one_process_speaks(project: Any, tmp_path: Path) -> None:
    alone = run([sys.executable, *on_the_command_line(project(), tmp_path / "ours")])
    assert alone.returncode == 0, alone.stderr[-2000:]
    done = run([*TORCHRUN, *on_the_command_line(project(), tmp_path / "theirs")])
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = outcome(alone.stdout)["outputs"]["model"], outcome(done.stdout)["outputs"]["model"]
    assert ours["key"] == theirs["key"]
    weights, others = (learning.weights(Path(one["path"])) for one in (ours, theirs))
    assert all(weights[name].equal(others[name]) for name in weights)
    manifest = json.loads((Path(theirs["path"]) / "manifest.json").read_text())
    assert manifest["notes"]["processes"] == 2


@pytest.mark.slow
def test_srun_does_too_and_a_script_gets_its_run_in_each_process(project: Any) -> None:
    port, file = str(free_port()), project()
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(file)],
            env=environment(**variables, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (1, 0)
    ]
    said = [process.communicate(timeout=300) for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], said
    keys = {line for out, _ in said for line in out.splitlines() if line.startswith("SAYS")}
    assert len(keys) == 1
    assert all("SAYS" in out for out, _ in said)


@pytest.mark.slow
def test_another_number_of_processes_is_refused_and_nobody_waits_for_ever(project: Any, tmp_path: Path) -> None:
    done = run([*TORCHRUN, *on_the_command_line(project(3), tmp_path / "store")])
    assert done.returncode
    assert "processes is 3, but this run was launched with 2: set processes=2" in done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, None),  # a shell in an allocation
        (
            {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "h"},
            Launch(3, 4, 1, 2, "h", 7, hosted=False, attempt="0"),
        ),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"},
            Launch(1, 2, 1, 2, "h", 7, hosted=True, attempt="2"),
        ),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "MASTER_ADDR": "h"}, Launch(1, 2, 1, 2, "h", 7, False, "0")),
    ],
)
def test_the_launch_is_what_the_variables_say(
    variables: Mapping[str, str], expected: Launch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("SLURM", "TORCHELASTIC"))]:
        monkeypatch.delenv(name)
    needed = {"MASTER_ADDR": "h", "MASTER_PORT": "7"} if expected else {}
    for name, value in {**needed, **variables}.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


def test_variables_that_are_not_whole_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "two", "MASTER_ADDR": "h", "MASTER_PORT": "7"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match=r"RANK, WORLD_SIZE.*two"):
        launched()
