"""A filter, run on a list of texts without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasets import Dataset

from fakes import context_in
from potstill.steps import LoadSeeds

SOURCE = LoadSeeds("unused")
"""Stands for the rows behind a step."""


def numbered(texts: list[Any], column: str = "instruction") -> Dataset:
    """Return rows with the texts in a column, and ids r0, r1, ..."""
    return Dataset.from_dict({"id": [f"r{number}" for number in range(len(texts))], column: texts})


def run(
    step: Any, folder: Path, texts: list[Any], column: str = "instruction", **inputs: Any
) -> tuple[list[str], dict[str, int]]:
    """Return the ids of the rows that stay, and how many went for which reason."""
    context = context_in(folder)
    result = step.run(rows=numbered(texts, column), context=context, **inputs)
    counts = context.ledger.counts()
    assert counts["kept"] == len(result)
    return list(result["id"]), counts["filtered"]


def details(folder: Path) -> dict[str, str]:
    """Return what the ledger says of each row that went."""
    lines = (folder / "lost.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["row"]: entry["detail"] for entry in map(json.loads, lines)}
