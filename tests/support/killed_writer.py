"""`OnPolicy` and `Preference`, killed hard while they train: `python killed_writer.py FOLDER STUDENT TEACHER`.

Each training is a fork of this process. Prints, as JSON, how each ended and what checkpoints it left.
"""

import json
import os
import signal
import sys
from pathlib import Path

import peft  # noqa: F401 - imported once, before the forks
import torch
from transformers.models.qwen3 import modeling_qwen3  # noqa: F401

import learning
from forked import ended
from potstill.trainers.language_models.on_policy import OnPolicy
from potstill.trainers.language_models.preference import Preference
from potstill.trainers.loop import loop  # noqa: F401

LAST_STEP = 6
FIELDS = {"epochs": 3, "batch_size": 4, "learning_rate": 3e-3, "checkpoint_every": 2}


def kill_at(step):
    """Return what kills this process when that step is reported."""

    def progress(done, total=None, **_):
        assert total == LAST_STEP
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def on_policy(folder: Path, student: str, teacher: str, step: int) -> None:
    rows = [{"id": row["id"], "instruction": row["instruction"]} for row in learning.rows(8)]
    trainer = OnPolicy(None, student=student, teacher=teacher, max_tokens=8, **FIELDS)
    context = learning.context(folder, progress=kill_at(step))
    trainer.run(learning.dataset(rows), student, teacher, context)


def preference(folder: Path, student: str, teacher: str, step: int) -> None:
    rows = [
        {"instruction": row["instruction"], "chosen": row["output"], "rejected": row["output"] + "!" * number}
        for number, row in enumerate(learning.rows(10), 1)
    ]
    trainer = Preference(None, student=student, **FIELDS)
    context = learning.context(folder, progress=kill_at(step))
    validation = learning.dataset(rows[8:])
    trainer.run(learning.dataset(rows[:8]), student, context, validation=validation)


def main() -> None:
    torch.set_num_threads(1)
    folder, student, teacher = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    actual = {}
    for train in (on_policy, preference):
        for name, where, step in (
            ("undisturbed", "undisturbed", 0),
            ("before the first checkpoint", "killed", 1),
            ("between checkpoints", "killed", 5),
            ("at the end", "killed", LAST_STEP),
            ("resumed", "killed", 0),
        ):
            work = folder / train.__name__ / where
            code = ended(lambda: train(work, student, teacher, step))  # noqa: B023 - called before the next one
            left = sorted(path.name for path in (work / "work" / "checkpoints").glob("checkpoint-*"))
            actual[f"{train.__name__}, {name}"] = [code, left]
    print(json.dumps(actual))


if __name__ == "__main__":
    main()
