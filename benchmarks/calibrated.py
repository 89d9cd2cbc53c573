"""What the benchmarks beside other implementations share: a model, texts to calibrate on and to measure on.

The texts are P3's, and WikiText-2's for the measurement; see `real/language_model.py`, whose model is taken too unless
another is named.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "real"))
import language_model as trained
from p3 import DATA as SETS

from potstill import Pipeline

DATA = SETS / "p3-50k"
"""Folder of P3; without it there is nothing to measure."""


@dataclass(frozen=True)
class Inputs:
    """What is compressed, and on what."""

    model: Path
    """Folder of a causal model."""
    calibration: Any
    """Rows with a `text` of `length` tokens at least, as `datasets.Dataset`."""
    test: dict[str, Any]
    """Rows to measure on, by name."""


def parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that these benchmarks share."""
    result = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--model", type=Path, help="a causal model's folder, in place of the trained one")
    result.add_argument("--calibration", type=int, default=128, help="calibration texts")
    result.add_argument("--length", type=int, default=128, help="tokens of each")
    result.add_argument("--threads", type=int, default=1)
    result.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    return result


def inputs(given: argparse.Namespace) -> Inputs:
    """Return the model and its texts; what is in the store isn't computed again."""
    wanted: dict[str, Any] = {"train": trained.texts.train, "p3": trained.texts.test, "wikitext": trained.wikitext}
    if given.model is None:
        wanted["model"] = trained.model
    run = Pipeline("calibrated", outputs=wanted).run(store=given.store)
    rows = {name: run[name].dataset() for name in ("train", "p3", "wikitext")}
    model = Path(given.model or run["model"].path)
    chosen = long_enough(rows["train"], model, given.calibration, given.length)
    return Inputs(model, chosen, {name: rows[name] for name in ("p3", "wikitext")})


def long_enough(rows: Any, model: Path, count: int, length: int) -> Any:
    """Return the first `count` rows whose text has `length` tokens at least, so that all are cut to one length."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    actual: list[int] = []
    for number, text in enumerate(rows["text"]):
        if len(tokenizer(text)["input_ids"]) >= length:
            actual.append(number)
        if len(actual) == count:
            return rows.select(actual).select_columns(["text"])
    raise SystemExit(f"only {len(actual)} texts have {length} tokens: lower --length or --calibration")
