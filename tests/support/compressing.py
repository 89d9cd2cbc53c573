"""What the tests of compression steps share: calibration rows and a context on a temporary folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from potstill.engine.context import Context
from potstill.engine.ledger import Ledger
from potstill.engine.store.journal import Journal

ROOMS = ("kitchen", "bedroom", "living room", "hall", "bathroom")


def rows(count: int = 24) -> Any:
    """Return labelled rows of the home domain."""
    from datasets import Dataset

    entries = []
    for number in range(count):
        room = ROOMS[number % len(ROOMS)]
        entries.append(
            {
                "id": str(number),
                "instruction": f"set the heating in the {room} to {15 + number} degrees",
                "output": f'{{"device":"heating","room":"{room}","action":"set","value":{15 + number}}}',
            }
        )
    return Dataset.from_list(entries)


def context(folder: Path, name: str = "step") -> Context:
    """Return the context of a step whose payload goes to `folder`/`name`."""
    journal = Journal(folder / "journal.sqlite")
    return Context(
        step=name,
        key=name,
        work=folder / "work",
        out=folder / name,
        journal=journal.scoped(name),
        store_journal=journal,
        ledger=Ledger(),
        logger=logging.getLogger("test"),
    )


def logits(model: Any, texts: list[Any]) -> list[Any]:
    """Return the float32 logits [T, V] of each text."""
    import torch

    with torch.no_grad():
        return [model(input_ids=ids[None]).logits[0].float() for ids in texts]


def run_step(kind: Any, folder: Path, tmp_path: Path, name: str = "out", **fields: Any) -> tuple[Path, Context]:
    """Run the step `kind` on the model in `folder`; return what it made and its context.

    Rows given as `calibration` are what it sees.
    """
    step_context = context(tmp_path, name)
    edges = {"calibration": fields["calibration"]} if fields.get("calibration") is not None else {}
    return kind(str(folder), **fields).run(model=str(folder), context=step_context, **edges), step_context


def texts() -> Any:
    """Return rows of plain texts, for models that read no chats."""
    from datasets import Dataset

    import tiny

    return Dataset.from_list([{"text": text} for text in tiny.CORPUS * 6])
