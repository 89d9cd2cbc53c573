"""Trains in a process of its own; kills itself hard after a step, if told to: `python killed_training.py WORK STUDENT STEP`."""

import os
import signal
import sys
from pathlib import Path

import learning

from potstill.trainers import HardLabel, LoRA


def main() -> None:
    folder, student, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def progress(done, total=None, **_):
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)

    adapters = LoRA(rank=4, dropout=0.2) if "lora" in sys.argv else None
    step = HardLabel(
        None, student=student, epochs=2.5, batch_size=4, learning_rate=3e-3, checkpoint_every=3, lora=adapters
    )
    step.run(learning.dataset(learning.rows(18)), student, learning.context(folder, progress=progress))


if __name__ == "__main__":
    main()
