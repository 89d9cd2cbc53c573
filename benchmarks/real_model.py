"""A language model that others trained, compressed: SmolLM2-135M-Instruct on WikiText-2, all methods in one run.

Calibrated on texts of WikiText-2's validation split, measured on the first characters of its test split in windows of
512 tokens. Run as `python benchmarks/real_model.py --model FOLDER` with a folder of the model, whose weights lie on
4-bit grids in groups of 32 if they come from a GGUF: methods then compare in groups of 64 (the model's 576 features
can't be divided into groups of 128). `POTSTILL_DATASETS` says where WikiText-2 lies. Methods stand in `METHODS`, with
seed 0; the page `docs/real-model.md` shows the table. What is in the store isn't computed again, so that the methods
can be run a few at a time and shown together.

The interval of a rise is that of the mean difference of the windows' losses, 95 %: all read the same windows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "real"))
from p3 import DATA

from potstill import Pipeline, Step
from potstill.metrics.kept_rows import FILE
from potstill.steps.evaluation.perplexity import EvaluatePerplexity
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.quantization.fp8 import QuantizeFP8
from potstill.steps.quantization.gobo import GOBO
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.layerwise_distill import LayerwiseDistill
from potstill.steps.quantization.nf4 import NF4

LENGTH = 256
"""Tokens of a calibration text."""
WINDOW = 512
"""Tokens that are read at once."""
METHODS: Mapping[str, tuple[type[Step], Mapping[str, Any]]] = {
    "int8, rounded": (QuantizeInt8, {"smoothquant": None, "wide": 0.0}),
    "int8, SmoothQuant 0.5": (QuantizeInt8, {"smoothquant": 0.5, "wide": 0.0}),
    "int8, SmoothQuant searched": (QuantizeInt8, {"wide": 0.0}),
    "int8, by default": (QuantizeInt8, {}),
    "FP8": (QuantizeFP8, {}),
    "NF4": (NF4, {}),
    "GOBO, 3 bits": (GOBO, {}),
    **{
        f"int4-64, {name}": (kind, {"group_size": 64, **fields})
        for name, kind, fields in (
            ("rounded, symmetric", QuantizeInt4, {"method": "rtn", "symmetric": True}),
            ("rounded", QuantizeInt4, {"method": "rtn"}),
            ("AWQ, symmetric", QuantizeInt4, {"method": "awq", "symmetric": True}),
            ("AWQ", QuantizeInt4, {"method": "awq"}),
            ("GPTQ, symmetric, tokens alike", QuantizeInt4, {"symmetric": True, "guided": False}),
            ("GPTQ, tokens alike", QuantizeInt4, {"guided": False}),
            ("GPTQ, symmetric", QuantizeInt4, {"symmetric": True}),
            ("GPTQ, by default", QuantizeInt4, {}),
            ("layerwise", LayerwiseDistill, {"passes": 2}),
        )
    },
    **{
        f"{label}, {name}": (kind, {**form, **more})
        for label, form in (("50 % zeros", {"sparsity": 0.5}), ("2:4", {"pattern": "2:4"}))
        for name, kind, more in (
            ("magnitude", MagnitudePrune, {"scope": "layer"}),
            ("Wanda", WandaPrune, {}),
            ("SparseGPT", SparseGPTPrune, {}),
        )
    },
}


def main() -> None:
    """Compress, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--characters", type=int, default=40_000, help="of the test text")
    parser.add_argument("--calibration", type=int, default=48, help="texts")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="by name; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    options = parser.parse_args()
    folder = DATA / "wikitext-2"
    if not folder.exists():
        print(f"skipped: no folder {folder}")
        return
    test = (folder / "test.txt").read_text(encoding="utf-8")[: options.characters]
    calibration = calibration_texts(
        options.model, (folder / "valid.txt").read_text(encoding="utf-8"), options.calibration
    )
    models: dict[str, Any] = {"as it is": str(options.model)}
    for name in options.methods:
        kind, fields = METHODS[name]
        more = {"calibration": calibration, "text": "text", "max_length": LENGTH} if takes_texts(kind, fields) else {}
        models[name] = kind(str(options.model), **fields, **more)  # type: ignore[call-arg]
    rows = LoadRows([{"text": test}])
    scores = {name: EvaluatePerplexity(model, rows, window=WINDOW) for name, model in models.items()}
    steps = {f"{name}, model": model for name, model in models.items() if isinstance(model, Step)}
    run = Pipeline("real-model", outputs={**scores, **steps}).run(store=options.store, threads=options.threads)
    seconds = {name: run[f"{name}, model"].manifest["seconds"] for name in models if name in options.methods}
    print(
        table(
            {name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in scores},
            {name: losses(run[name].path) for name in scores},
            seconds,
        )
    )


def calibration_texts(model: Path, text: str, count: int) -> LoadRows:
    """Return `count` rows of `LENGTH` tokens each, from the start of `text`."""
    return LoadRows([{"text": part} for part in decoded_texts(model, text, count, LENGTH)])


def decoded_texts(model: Path, text: str, count: int, length: int) -> list[str]:
    """Return `count` texts of `length` tokens each, from the start of `text`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    # about four characters a token, and some to be sure
    ids = tokenizer(text[: 6 * length * count])["input_ids"]
    return [tokenizer.decode(ids[start : start + length]) for start in range(0, length * count, length)]


def takes_texts(kind: type[Step], fields: Mapping[str, Any]) -> bool:
    """Return whether a method needs texts; those that only measure the agreement on them are run without."""
    if kind is QuantizeInt8:
        return fields.get("smoothquant", "search") is not None
    own = {field.name: field for field in dataclasses.fields(kind)}
    return "calibration" in own and own["calibration"].default is dataclasses.MISSING


def losses(folder: Path) -> list[float]:
    """Return the loss of each window, in nats a token."""
    import pandas

    return [float(loss) for loss in pandas.read_parquet(folder / FILE)["score_loss"]]


def table(scores: Mapping[str, Any], losses_of: Mapping[str, Sequence[float]], seconds: Mapping[str, float]) -> str:
    """Return the table as Markdown: perplexity, the rise over the model as it is with its interval, size, seconds."""
    lines = ["| method | perplexity | rise | MB | seconds |", "|---|---|---|---|---|"]
    for name, metrics in scores.items():
        own = metrics["sets"]["test"]
        differences = [new - old for new, old in zip(losses_of[name], losses_of["as it is"], strict=True)]
        # of all tokens alike: the last window may be shorter
        mean = math.log(own["perplexity"] / scores["as it is"]["sets"]["test"]["perplexity"])
        half = 1.96 * statistics.stdev(differences) / len(differences) ** 0.5
        low, high = (f"{100 * math.expm1(mean + side):+.1f}" for side in (-half, half))
        rise = "" if name == "as it is" else f"{100 * math.expm1(mean):+.1f} % ({low} to {high})"
        taken = f"{seconds[name]:.0f}" if name in seconds else ""
        lines.append(f"| {name} | {own['perplexity']:.2f} | {rise} | {metrics['weights_bytes'] / 1e6:.1f} | {taken} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
