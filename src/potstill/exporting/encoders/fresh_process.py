"""An exported encoder's answers, in a process of its own that runs the very script of `SERVE.md`.

Run as a module it works in the current folder, reads texts from standard input, and prints the answers as one line of
JSON. Neither torch nor transformers are loaded.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from potstill.exporting.child_process import MARK, answer_of
from potstill.exporting.encoders.probe import TextAnswers
from potstill.exporting.folder import command_of

BATCH = 8
"""Texts that are read together, in their order: they differ in length, so that what pads them is checked."""


def fresh_answers(package: str, folder: Path, texts: list[str], seconds: float, threads: int = 1) -> TextAnswers:
    """Return what the export in `folder` answers to `texts` by its own script, which imports `package`.

    Raises:
        PotstillError: the process failed, or took longer than `seconds`.
    """
    import numpy as np

    answers = json.loads(answer_of(__name__, [package], folder.resolve(), json.dumps(texts), seconds, threads))
    outputs = np.array(answers["said"], dtype=np.float64)
    return TextAnswers(outputs, tuple(tuple(ids) for ids in answers["tokens"]), answers["runtime"])


def script_of(folder: Path) -> dict[str, Any]:
    """Run the script of `SERVE.md` in the current folder, without its example; returns the names that it defines."""
    names: dict[str, Any] = {"__name__": "served"}
    exec(compile(command_of(folder), "SERVE.md", "exec"), names)  # noqa: S102 - what users run is what is checked
    return names


def _main(package: str) -> int:
    """Answer; returns the exit code."""
    from potstill.exporting.decoders.openvino import without_telemetry

    without_telemetry()
    texts, names = json.load(sys.stdin), script_of(Path())
    outputs: list[Any] = []
    for start in range(0, len(texts), BATCH):
        outputs += names["read"](texts[start : start + BATCH]).tolist()
    tokens = [names["tokenizer"].encode(text).ids for text in texts]
    runtime = f"{package} {importlib.metadata.version(package)}"
    print("\n" + MARK + json.dumps({"said": outputs, "tokens": tokens, "runtime": runtime}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
