"""Quantization beside llm-compressor, which lives in an environment of its own: perplexity and time.

`--python PATH` is the Python of an environment made by `pip install llmcompressor==0.14.0.1 torch==2.13.0`. Both sides
quantize the same model in bfloat16 from the same windows of tokens, each in a process of its own with as many threads,
and write compressed-tensors folders, which `EvaluatePerplexity` reads by one protocol. What is timed, in seconds of the
processor, which other work on the machine does not disturb: the compression alone (from loaded model and tokens to
quantized weights), and the whole process with imports, loading and writing; Potstill's also measures the agreement
with the model before. The least of `--repeats` counts; memory is the most that the process had resident. Run as
`python benchmarks/llm_compressor.py --python PATH --store STORE`; with `--wikitext` and a `--model` both calibrate and
measure as `real_model.py` does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import calibrated
import real_model
from asking import context_in
from p3 import DATA as SETS

from potstill import Pipeline, Step
from potstill.steps.evaluation.perplexity import EvaluatePerplexity
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.quantization.int4 import QuantizeInt4, awq_layers, gptq_layers, weights_of_tokens
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.smoothing import smooth
from potstill.steps.rows.sort_sample import Take

CASES = ("GPTQ", "GPTQ, zero points", "AWQ", "W8A8", "W8A8, SmoothQuant")
"""`W8A8` alone rounds to nearest and needs no data."""
WIKITEXT = SETS / "wikitext-2"
"""Folder of WikiText-2."""
THEIRS = Path(__file__).parent / "by_llm_compressor.py"
SHARE = 0.5
"""Bar: Potstill's time beside llm-compressor's."""
BATCH = 16
"""Texts that both run at once."""


def main() -> None:
    """Quantize with both, measure, print the table."""
    parser = calibrated.parser(__doc__)
    parser.add_argument("--python", type=Path, help="Python of an environment that has llm-compressor")
    parser.add_argument("--cases", nargs="+", default=["GPTQ", "AWQ", "W8A8"], choices=CASES)
    parser.add_argument("--group", type=int, default=128, choices=(32, 64, 128), help="inputs that share a scale")
    parser.add_argument("--window", type=int, default=256, help="tokens of a window that is measured")
    parser.add_argument("--test", type=int, default=400, help="test texts of each set, at most")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--wikitext", action="store_true", help="calibrate on WikiText-2 and measure on it alone")
    parser.add_argument("--characters", type=int, default=40_000, help="of WikiText-2's test text, with --wikitext")
    parser.add_argument("--request", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.request:
        print(json.dumps(by_potstill(given.request)))
        return
    if given.python is None:
        raise SystemExit("give --python, that of an environment with llm-compressor")
    needed = WIKITEXT if given.wikitext else calibrated.DATA
    if not needed.exists():
        print(f"skipped: no folder {needed}")
        return
    inputs = on_wikitext(given) if given.wikitext else calibrated.inputs(given)
    commands = {"Potstill": [sys.executable, __file__, "--request"], "llm-compressor": [str(given.python), str(THEIRS)]}
    with tempfile.TemporaryDirectory() as scratch:
        request = {
            "model": str(inputs.model),
            "group": given.group,
            "threads": given.threads,
            "batch": BATCH,
            "tokens": str(written(inputs, given, Path(scratch))),
            "length": given.length,
        }
        times: dict[str, list[dict[str, float]]] = {}
        folders: dict[str, str] = {"16 bits": str(inputs.model)}
        for case in given.cases:
            for side, command in commands.items():
                name = f"{case}, {side}"
                folders[name] = str(Path(scratch) / name)
                times[name] = [
                    taken(command, {**request, "case": case, "out": folders[name]}, given.threads)
                    for _ in range(given.repeats)
                ]
        scores = perplexities(folders, inputs, given)
    print(
        f"{platform.machine()}, threads: {given.threads}; {inputs.model.name}; {given.calibration} texts of "
        f"{given.length} tokens, groups of {given.group}, windows of {given.window}; best of {given.repeats}",
        table(given.cases, scores, times),
        sep="\n",
    )


def on_wikitext(given: argparse.Namespace) -> calibrated.Inputs:
    """Return the model with texts of WikiText-2's validation split, and the first characters of its test split."""
    from datasets import Dataset

    if given.model is None:
        raise SystemExit("give --model, a causal model's folder")
    valid, test = ((WIKITEXT / f"{name}.txt").read_text(encoding="utf-8") for name in ("valid", "test"))
    texts = real_model.decoded_texts(given.model, valid, given.calibration, given.length)
    measured = Dataset.from_dict({"text": [test[: given.characters]]})
    return calibrated.Inputs(given.model, Dataset.from_dict({"text": texts}), {"wikitext": measured})


def written(inputs: calibrated.Inputs, given: argparse.Namespace, folder: Path) -> Path:
    """Return a file with the calibration texts' tokens, which is what Potstill's draw gives."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(inputs.model)
    ids = [tokenizer(text)["input_ids"][: given.length] for text in inputs.calibration["text"]]
    path = folder / "tokens.json"
    path.write_text(json.dumps(ids), encoding="utf-8")
    (folder / "rows.json").write_text(json.dumps(list(inputs.calibration["text"])), encoding="utf-8")
    return path


def taken(command: list[str], request: Mapping[str, Any], threads: int) -> dict[str, float]:
    """Return the processor's seconds that a side took in a process of its own, without and with all around."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, json.dumps(request)], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(Path(request["out"]).name, figures, file=sys.stderr, flush=True)
    return figures


def by_potstill(request: Mapping[str, Any]) -> dict[str, float]:
    """Quantize as `request` says, twice: with the step, which writes the folder, and without anything around it."""
    import torch
    from datasets import Dataset

    torch.set_num_threads(request["threads"])
    texts = json.loads(Path(request["tokens"]).with_name("rows.json").read_text(encoding="utf-8"))
    rows = Dataset.from_dict({"text": texts})
    fields: dict[str, Any] = {
        "calibration": LoadRows([]),
        "text": "text",
        "samples": len(texts),
        "max_length": request["length"],
    }
    four = {**fields, "group_size": request["group"]}
    steps: dict[str, Callable[[], Step]] = {
        "GPTQ": lambda: QuantizeInt4(request["model"], **four, symmetric=True),
        "GPTQ, zero points": lambda: QuantizeInt4(request["model"], **four),
        "AWQ": lambda: QuantizeInt4(request["model"], **four, method="awq", symmetric=False),
        "W8A8": lambda: QuantizeInt8(request["model"]),
        "W8A8, SmoothQuant": lambda: QuantizeInt8(request["model"], **fields, smoothquant=0.5, wide=0.0),
    }
    step: Any = steps[request["case"]]()
    context = context_in(Path(request["out"]), "quantized", request["threads"])
    given = {} if request["case"] == "W8A8" else {"calibration": rows}
    step.run(model=request["model"], context=context, **given)
    whole, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"compression": compression_alone(request, step, rows, context), "whole": whole, "memory": memory}


def compression_alone(request: Mapping[str, Any], step: Any, rows: Any, context: Any) -> float:
    """Return the seconds from a loaded model and tokens to quantized weights."""
    from potstill.compression.layerwise import block_layers
    from potstill.compression.quantization import rounding
    from potstill.models import folder as checkpoint
    from potstill.steps.compression.base import draw
    from potstill.steps.quantization.base import round_layers

    loaded = checkpoint.load(request["model"], half=True)
    drawn = None if request["case"] == "W8A8" else draw(step, loaded, rows)
    batches = drawn.batches() if drawn else []
    started = time.process_time()
    if request["case"].startswith("GPTQ"):
        assert drawn is not None
        weights = weights_of_tokens(loaded.model, drawn, step.seed, context)
        how = (request["group"], step.damping, context, request["case"] == "GPTQ", None, weights)
        list(gptq_layers(loaded.model, batches, *how))
    elif request["case"] == "AWQ":
        list(awq_layers(loaded.model, batches, request["group"], context, symmetric=False))
    elif not drawn:
        layers = block_layers(loaded.model)
        list(round_layers(layers, lambda weight: rounding.quantize(weight, 8, None, weight.dtype)))
    else:
        smoothing = smooth(loaded.model, drawn, step.smoothquant, context)
        for path, layer in block_layers(loaded.model).items():
            smoothing.rounded(path, layer)
    return time.process_time() - started


def perplexities(folders: Mapping[str, str], inputs: calibrated.Inputs, given: argparse.Namespace) -> dict[str, Any]:
    """Return what `EvaluatePerplexity` finds of each folder."""
    sets = {
        name: Take(LoadRows([{"text": text} for text in rows["text"]]), given.test)
        for name, rows in inputs.test.items()
    }
    result = {name: EvaluatePerplexity(folder, sets, window=given.window) for name, folder in folders.items()}
    run = Pipeline("llm_compressor", outputs=result).run(store=given.store)
    return {name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in folders}


def table(cases: list[str], scores: Mapping[str, Any], times: Mapping[str, list[dict[str, float]]]) -> str:
    """Return the table, and how the bars were met."""
    best = {name: {kind: min(one[kind] for one in own) for kind in own[0]} for name, own in times.items()}
    sets = list(next(iter(scores.values()))["sets"])
    heads = f"{'MB':>8}" + "".join(f"{name:>11}" for name in sets) + f"{'seconds':>10}{'whole':>9}{'memory':>9}"
    lines = [f"{'':34}{heads}"]
    for name, score in scores.items():
        actual = "".join(f"{own['perplexity']:>11.4f}" for own in score["sets"].values())
        own = best.get(name)
        took = f"{own['compression']:>10.1f}{own['whole']:>9.1f}{own['memory']:>9.0f}" if own else ""
        lines.append(f"{name:34}{score['weights_bytes'] / 1e6:>8.2f}{actual}{took}")
    for case in cases:
        ours, theirs = f"{case}, Potstill", f"{case}, llm-compressor"
        for name in sets:
            ratio = scores[ours]["sets"][name]["perplexity"] / scores[theirs]["sets"][name]["perplexity"]
            lines.append(f"{case}: perplexity on {name} beside theirs {ratio:.5f} (bar 1: {reached(ratio <= 1)})")
        ratio, whole, memory = (best[ours][kind] / best[theirs][kind] for kind in ("compression", "whole", "memory"))
        lines.append(
            f"{case}: time beside theirs {ratio:.3f} (bar {SHARE}: {reached(ratio <= SHARE)}), "
            f"with imports, loading, writing {whole:.3f}; memory {memory:.3f} (bar 1: {reached(memory <= 1)})"
        )
    return "\n".join(lines)


def reached(holds: bool) -> str:
    """Return the word for a bar."""
    return "reached" if holds else "NOT reached"


if __name__ == "__main__":
    main()
