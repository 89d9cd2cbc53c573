"""What the benchmarks of asking share: the model, texts to ask about, and a context as the engine makes it."""

from __future__ import annotations

import logging
import random
from pathlib import Path

from potstill.engine.context import Context
from potstill.engine.ledger import Ledger
from potstill.engine.store.journal import Journal

TEACHER = Path(__file__).parents[1] / "src" / "potstill" / "data" / "home" / "teacher"
WORDS = """
    turn switch set open close dim the a all my light lamp heating blinds music kitchen bedroom now please to at 20
""".split()


def commands(count: int) -> list[str]:
    """Return texts of mixed lengths."""
    draw = random.Random(0)
    return [" ".join(draw.choice(WORDS) for _ in range(draw.randint(4, 40))) for _ in range(count)]


def context_in(folder: Path, step: str, threads: int = 1) -> Context:
    """Return the context of a `step` with an empty journal in `folder`."""
    journal = Journal(folder / "journal.sqlite")
    return Context(
        step=step,
        key="0" * 32,
        work=folder,
        out=folder,
        journal=journal.scoped(step),
        store_journal=journal,
        ledger=Ledger(folder / "lost.jsonl"),
        logger=logging.getLogger("benchmark"),
        threads=threads,
    )
