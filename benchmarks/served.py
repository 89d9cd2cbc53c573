"""How good and how fast exported classifiers are in ONNX Runtime, both by what their folders' `SERVE.md` loads."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speed import ROUNDS, TEXTS, Speed, beside_the_first

PACKAGE = "onnxruntime"


def accuracies(folders: Mapping[str, Path], rows: Sequence[Mapping[str, str]], threads: int = 1) -> dict[str, float]:
    """Return the share of `rows` that each folder's own script, in a fresh process, names the label of."""
    from potstill.exporting.encoder_fresh import fresh_answers

    found = {}
    for name, folder in folders.items():
        names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
        said = fresh_answers(PACKAGE, folder, [row["text"] for row in rows], 1200, threads).said
        right = [names[str(best)] == row["label"] for best, row in zip(said.argmax(1), rows, strict=True)]
        found[name] = sum(right) / len(right)
    return found


def speeds(folders: Mapping[str, Path], texts: Sequence[str], batch_size: int, threads: int = 1) -> dict[str, Speed]:
    """Measure the models in `folders` on some of `texts`, in turn and several times, as `speed.speeds` does."""
    few = texts[:TEXTS] if batch_size > 1 else texts[: TEXTS // 8]
    models = {name: loaded(folder, few, batch_size, threads) for name, folder in folders.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + 1):
        for name, (session, batches) in models.items():
            started = time.perf_counter()
            for batch in batches:
                session.run(None, batch)
            if number:  # the first round warms up
                taken[name].append((time.perf_counter() - started) / len(few))
    return beside_the_first(taken)


def loaded(folder: Path, texts: Sequence[str], batch_size: int, threads: int) -> tuple[Any, list[dict[str, Any]]]:
    """Return a model and its batches, texts by length."""
    import onnxruntime
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    inputs = [one.name for one in session.get_inputs()]
    tokenizer, ordered = AutoTokenizer.from_pretrained(folder), sorted(texts, key=len)
    parts = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    tokens = [tokenizer(part, padding=True, return_tensors="np") for part in parts]
    return session, [{name: batch[name].astype("int64") for name in inputs} for batch in tokens]


def size(folder: Path) -> int:
    """Return the bytes of the model's file."""
    return (folder / "model.onnx").stat().st_size
