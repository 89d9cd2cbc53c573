"""A training that writes or compares texts of its own survives a kill: it ends with the bytes of one left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "support" / "killed_writer.py"


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, student, teacher):
    """Folder of the trainings, and how each ended."""
    folder = tmp_path_factory.mktemp("killed")
    path = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(student), str(teacher)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return folder, json.loads(finished.stdout.splitlines()[-1]), finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["on_policy", "preference"])
def test_a_killed_training_ends_with_the_same_bytes(trainings, trainer):
    """Killed at step 1, at 5 and at the last, 6, with a checkpoint after every second."""
    folder, actual, errors = trainings
    assert {name.split(", ")[1]: ended for name, ended in actual.items() if name.startswith(trainer)} == {
        "undisturbed": [0, ["checkpoint-6"]],
        "before the first checkpoint": [-9, []],
        "between checkpoints": [-9, ["checkpoint-4"]],
        "at the end": [-9, ["checkpoint-4"]],
        "resumed": [0, ["checkpoint-6"]],
    }, errors
    whole = folder / trainer / "undisturbed" / "out"
    assert (whole / "model.safetensors").exists()
    for path in whole.iterdir():
        assert path.read_bytes() == (folder / trainer / "killed" / "out" / path.name).read_bytes(), path.name
