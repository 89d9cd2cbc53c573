"""A language model that others trained, compressed: SmolLM2-135M-Instruct on WikiText-2, all methods in one run.

Calibrated on texts of WikiText-2's validation split, measured on the first characters of its test split in windows of
512 tokens. Run as `python benchmarks/real_model.py --model FOLDER` with a folder of the model, whose weights lie on
4-bit grids in groups of 32 if they come from a GGUF: methods then compare in groups of 64 (the model's 576 features
can't be divided into groups of 128). `POTSTILL_DATASETS` says where WikiText-2 lies. Methods stand in `METHODS`, with
seed 0; the page `docs/real-model.md` shows the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "real"))
from p3 import DATA

from potstill import Pipeline, Step
from potstill.steps.evaluation.perplexity import EvaluatePerplexity
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.layerwise_distill import LayerwiseDistill

LENGTH = 256
"""Tokens of a calibration text."""
WINDOW = 512
"""Tokens that are read at once."""
METHODS: Mapping[str, tuple[type[Step], Mapping[str, Any]]] = {
    "int8, rounded": (QuantizeInt8, {"smoothquant": None, "wide": 0.0}),
    "int8, SmoothQuant 0.5": (QuantizeInt8, {"smoothquant": 0.5, "wide": 0.0}),
    "int8, SmoothQuant searched": (QuantizeInt8, {"wide": 0.0}),
    "int8, by default": (QuantizeInt8, {}),
    **{
        f"int4-64, {name}": (kind, {"group_size": 64, **fields})
        for name, kind, fields in (
            ("rounded", QuantizeInt4, {"method": "rtn"}),
            ("rounded, zero points", QuantizeInt4, {"method": "rtn", "symmetric": False}),
            ("GPTQ", QuantizeInt4, {}),
            ("GPTQ, zero points", QuantizeInt4, {"symmetric": False}),
            ("AWQ", QuantizeInt4, {"method": "awq"}),
            ("AWQ, zero points", QuantizeInt4, {"method": "awq", "symmetric": False}),
            ("layerwise", LayerwiseDistill, {}),
        )
    },
    "50 % zeros, magnitude": (MagnitudePrune, {"sparsity": 0.5, "scope": "layer"}),
    "50 % zeros, Wanda": (WandaPrune, {"sparsity": 0.5}),
    "50 % zeros, SparseGPT": (SparseGPTPrune, {"sparsity": 0.5}),
}


def main() -> None:
    """Compress, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--characters", type=int, default=40_000, help="of the test text")
    parser.add_argument("--calibration", type=int, default=48, help="texts")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="by name; all by default")
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
        more = {} if kind is MagnitudePrune else {"calibration": calibration, "text": "text", "max_length": LENGTH}
        models[name] = kind(str(options.model), **fields, **more)  # type: ignore[call-arg, arg-type]
    rows = LoadRows([{"text": test}])
    scores = {name: EvaluatePerplexity(model, rows, window=WINDOW) for name, model in models.items()}
    steps = {f"{name}, model": model for name, model in models.items() if isinstance(model, Step)}
    run = Pipeline("real-model", outputs={**scores, **steps}).run(store=options.store)
    seconds = {name: run[f"{name}, model"].manifest["seconds"] for name in models if name in options.methods}
    print(
        table(
            {name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in scores},
            seconds,
        )
    )


def calibration_texts(model: Path, text: str, count: int) -> LoadRows:
    """Return `count` rows of `LENGTH` tokens each, from the start of `text`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    # about four characters a token, and some to be sure
    ids = tokenizer(text[: 6 * LENGTH * count])["input_ids"]
    parts = [ids[start : start + LENGTH] for start in range(0, LENGTH * count, LENGTH)]
    return LoadRows([{"text": tokenizer.decode(part)} for part in parts])


def table(scores: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
    """Return the table as Markdown: perplexity with its interval, the rise over the model as it is, size, seconds."""
    lines = ["| method | perplexity | rise | MB | seconds |", "|---|---|---|---|---|"]
    first = scores["as it is"]["sets"]["test"]["perplexity"]
    for name, metrics in scores.items():
        own = metrics["sets"]["test"]
        half = (own["perplexity_high"] - own["perplexity_low"]) / 2
        rise = "" if name == "as it is" else f"{100 * (own['perplexity'] / first - 1):+.1f} %"
        taken = f"{seconds[name]:.0f}" if name in seconds else ""
        measured = f"{own['perplexity']:.2f} ± {half:.2f} | {rise} | {metrics['weights_bytes'] / 1e6:.1f}"
        lines.append(f"| {name} | {measured} | {taken} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
