"""Trainings that are killed hard, each in a fork of this process: `python killed_training.py FOLDER STUDENT KIND ...`.

Prints, as JSON by kind, how each ended and what checkpoints it left.
"""

import json
import os
import signal
import sys
from pathlib import Path

import peft  # noqa: F401 - imported once, before the forks
import torch
import transformers  # noqa: F401

import learning
from forked import ended
from potstill.trainers import HardLabel, LoRA
from potstill.trainers.loop import loop  # noqa: F401

LAST_STEP = 13


def train(folder: Path, student: str, kind: str, kill_at: int) -> None:
    def progress(done, total=None, **_):
        assert total == LAST_STEP
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    adapters = LoRA(rank=4, dropout=0.2) if kind == "lora" else None
    step = HardLabel(
        None,
        student=student,
        epochs=2.5,
        batch_size=4,
        learning_rate=3e-3,
        checkpoint_every=3,
        lora=adapters,
        evaluate_every=2 if kind == "full" else 0,
    )
    rows = learning.rows(22)
    validation = learning.dataset(rows[18:]) if kind == "full" else None
    context = learning.context(folder, progress=progress)
    step.run(learning.dataset(rows[:18]), student, context, validation=validation)


def run(folder: Path, student: str, kind: str, kill_at: int) -> dict:
    code = ended(lambda: train(folder, student, kind, kill_at))
    checkpoints = sorted(path.name for path in (folder / "work" / "checkpoints").glob("checkpoint-*"))
    return {"ended": code, "checkpoints": checkpoints}


def trainings(folder: Path, student: str, kind: str) -> dict:
    """Train undisturbed, and again with kills; return how each ended."""
    actual = {"undisturbed": run(folder / "undisturbed", student, kind, 0)}
    killed = folder / "killed"
    actual["in the middle"] = run(killed, student, kind, 7)
    # a kill in the middle of writing a checkpoint
    half = killed / "work" / "checkpoints" / "checkpoint-9"
    half.mkdir()
    (half / "trainer_state.json").write_text('{"global_step": 9, ')
    actual["at the end"] = run(killed, student, kind, LAST_STEP)
    actual["published"] = (killed / "out" / "model.safetensors").exists()
    actual["resumed"] = run(killed, student, kind, 0)
    # a kill after the last checkpoint
    actual["again"] = run(killed, student, kind, 0)
    return actual


def main() -> None:
    torch.set_num_threads(1)
    folder, student, kinds = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    print(json.dumps({kind: trainings(folder / kind, student, kind) for kind in kinds}))


if __name__ == "__main__":
    main()
