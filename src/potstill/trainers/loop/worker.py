"""Another process of a training: `python -m potstill.trainers.loop.worker FOLDER RANK SIZE`, from `launcher.py`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from pathlib import Path

from potstill.engine.ledger import Ledger
from potstill.engine.running.ranks import launched
from potstill.engine.store.journal import Journal
from potstill.errors import PotstillError
from potstill.trainers.loop import launcher
from potstill.trainers.loop.context import TrainingContext


def main(folder: Path, rank: int, size: int) -> int:
    """Train as process `rank` of `size`; write the reason of a failure to a file."""
    try:
        order = launcher.read_order(folder)
        import torch  # noqa: F401 - slow imports come before the process group waits for this process
        import transformers  # noqa: F401

        launcher.ready_file(folder, rank).touch()
        launch = launched()
        with launcher.joined(folder, rank, size, launch), contextlib.suppress(launcher.LearnedError):
            order.step.run(**order.inputs, context=context_of(order, folder, rank))
    except Exception as error:  # noqa: BLE001 - whatever a step raises is process 0's to report
        if lost_another(error):
            return launcher.LOST
        text = str(error) if isinstance(error, PotstillError) else f"{type(error).__name__}: {error}"
        launcher.error_file(folder, rank).write_text(text, encoding="utf-8")
        traceback.print_exc()
        return 1
    return 0


def lost_another(error: Exception) -> bool:
    """Return whether this is what a collective operation raises when another process is gone."""
    from torch.distributed import DistError

    # gloo raises a plain RuntimeError
    gone = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in gone)
    )


def context_of(order: launcher.Order, folder: Path, rank: int) -> TrainingContext:
    """Return a context with a folder of its own, which is thrown away: only process 0 writes results."""
    own = folder / str(rank)
    for name in ("work", "out"):
        (own / name).mkdir(parents=True)
    journal = Journal(own / "journal.sqlite")
    return TrainingContext(
        step=order.name,
        key=order.key,
        work=own / "work",
        out=own / "out",
        journal=journal.scoped(order.key),
        store_journal=journal,
        ledger=Ledger(),
        logger=logging.getLogger(f"potstill.process.{rank}"),
        seed=order.seed,
        threads=order.threads,
        validation=order.validation,
        common_work=folder.parent,
        form=order.step.form(),
    )


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread of a library must not keep the process alive
