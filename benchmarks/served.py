"""How good and how fast exported classifiers are in ONNX Runtime, both by what their folders' `SERVE.md` loads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from speed import Speed, batches_of, in_turn

PACKAGE = "onnxruntime"


def accuracies(folders: Mapping[str, Path], rows: Sequence[Mapping[str, str]], threads: int = 1) -> dict[str, float]:
    """Return the share of `rows` that each folder's own script, in a fresh process, names the label of."""
    from potstill.exporting.encoders.fresh_process import fresh_answers

    actual = {}
    for name, folder in folders.items():
        names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
        said = fresh_answers(PACKAGE, folder, [row["text"] for row in rows], 1200, threads).said
        right = [names[str(best)] == row["label"] for best, row in zip(said.argmax(1), rows, strict=True)]
        actual[name] = sum(right) / len(right)
    return actual


def speeds(folders: Mapping[str, Path], texts: Sequence[str], batch_size: int, threads: int = 1) -> dict[str, Speed]:
    """Measure the models in `folders` on some of `texts`, by ONNX Runtime."""
    return in_turn({name: loaded(folder, texts, batch_size, threads) for name, folder in folders.items()})


def loaded(folder: Path, texts: Sequence[str], batch_size: int, threads: int) -> tuple[Callable[[], None], int]:
    """Return a pass of a model over its tokenized batches, and how many texts they are."""
    import onnxruntime
    from transformers import AutoTokenizer

    from potstill.exporting.encoders.onnx import EXACT

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry(*EXACT)
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    tokenizer, parts = AutoTokenizer.from_pretrained(folder), batches_of(texts, batch_size)
    tokens = [tokenizer(part, padding=True, return_tensors="np") for part in parts]
    given = [{name: batch[name].astype("int64") for name in names} for batch in tokens]

    def read() -> None:
        for batch in given:
            session.run(None, batch)

    return read, sum(map(len, parts))


def size(folder: Path) -> int:
    """Return the bytes of the model's file."""
    return (folder / "model.onnx").stat().st_size
