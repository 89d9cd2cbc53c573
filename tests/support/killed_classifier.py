"""Classifiers that are killed hard while they train, each in a fork: `python killed_classifier.py FOLDER ENCODER`.

Prints, as JSON, how each ended.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
import transformers  # noqa: F401 - imported once, before the forks

import learning
from forked import ended
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.loop import loop  # noqa: F401

LAST_STEP = 12
TEXTS = {"light": "turn on the light", "heat": "set the heating"}


def train(folder: Path, encoder: str, kill_at: int) -> None:
    def progress(done, total=None, **_):
        assert total == LAST_STEP
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    rows = [{"text": text + " please" * number, "label": label} for number in range(8) for label, text in TEXTS.items()]
    step = Classifier(None, student=encoder, epochs=3, batch_size=4, learning_rate=3e-3, checkpoint_every=3)
    step.run(learning.dataset(rows), encoder, learning.context(folder, progress=progress))


def run(folder: Path, encoder: str, kill_at: int) -> int:
    return ended(lambda: train(folder, encoder, kill_at))


def main() -> None:
    torch.set_num_threads(1)
    folder, encoder = Path(sys.argv[1]), sys.argv[2]
    actual = {"undisturbed": run(folder / "undisturbed", encoder, 0)}
    actual["in the middle"] = run(folder / "killed", encoder, 7)
    actual["at the end"] = run(folder / "killed", encoder, LAST_STEP)
    actual["resumed"] = run(folder / "killed", encoder, 0)
    print(json.dumps(actual))


if __name__ == "__main__":
    main()
