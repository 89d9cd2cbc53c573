"""The questions about an export in a process of its own, which loads nothing but what was written.

Run as a module it opens the folder named in its arguments by a runtime named there, reads the questions from standard
input, and prints the answers as one line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import get_args

from potstill.exporting.child_process import MARK, answer_of
from potstill.exporting.exporter import RuntimeName
from potstill.exporting.probe import Answers, Probe, Runtime, answers_of


def fresh_answers(runtime: RuntimeName, folder: Path, probe: Probe, seconds: float, threads: int = 1) -> Answers:
    """Return what `runtime` answers to `probe` about the export in `folder`, in a process of its own.

    Raises:
        PotstillError: the process failed, or took longer than `seconds`.
    """
    question = json.dumps(dataclasses.asdict(probe))
    module, arguments = "potstill.exporting.decoders.fresh_process", (runtime, str(folder.resolve()))
    return _answers(answer_of(module, arguments, folder, question, seconds, threads))


def opened(runtime: RuntimeName, folder: Path, threads: int = 1) -> Runtime:
    """Load the export in `folder` with `runtime`, which takes `threads`.

    Those of transformers and ExecuTorch are the process's own: the caller has set them.
    """
    match runtime:
        case "transformers":
            from potstill.exporting.decoders.vllm_runtime import reloaded

            return reloaded(folder)
        case "vllm":
            from potstill.exporting.decoders.vllm_runtime import Served

            return Served(folder)
        case "gguf-transformers":
            from potstill.exporting.decoders.gguf_runtime import dequantized

            return dequantized(folder)
        case "llama.cpp":
            from potstill.exporting.decoders.gguf_runtime import LlamaCpp

            return LlamaCpp(folder, threads)
        case "onnxruntime-genai":
            from potstill.exporting.decoders.onnx_runtime import GenAI

            return GenAI(folder, threads)
        case "onnxruntime":
            from potstill.exporting.decoders.onnx_pairs_runtime import OnnxPairs

            return OnnxPairs(folder, threads)
        case "openvino":
            from potstill.exporting.decoders.openvino_runtime import OpenVINO

            return OpenVINO(folder, threads)
        case "executorch":
            from potstill.exporting.decoders.executorch_runtime import ExecuTorch

            return ExecuTorch(folder)


def _answers(text: str) -> Answers:
    fields = json.loads(text)
    for name in ("continued", "tokens"):
        fields[name] = tuple(tuple(ids) for ids in fields[name])
    return Answers(**fields)


def _main(arguments: list[str]) -> int:
    """Answer; returns the exit code."""
    name, folder = arguments
    if name not in get_args(RuntimeName):
        print(f"no runtime {name!r}: there are {', '.join(get_args(RuntimeName))}", file=sys.stderr)
        return 2
    asked = json.load(sys.stdin)
    probe = Probe(
        tuple(tuple(ids) for ids in asked["texts"]),
        tuple(asked["starts"]),
        tuple(tuple(ids) for ids in asked["prompts"]),
        tuple(asked["words"]),
    )
    runtime = opened(name, Path(folder), int(os.environ.get("OMP_NUM_THREADS", "1")))  # type: ignore[arg-type] # seen above to be one
    try:
        print("\n" + MARK + json.dumps(dataclasses.asdict(answers_of(runtime, probe))), flush=True)
    finally:
        close = getattr(runtime, "close", None)
        if close:
            close()
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
