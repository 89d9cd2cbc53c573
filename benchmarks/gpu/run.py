"""Training and compression on a GPU within eight minutes: tokens a second, share of the peak, seconds a layer, memory.

A model of 0.5 billion random weights (they cost what trained ones do) is trained by `HardLabel`, by `SoftLabel` on
stored top-k labels and beside a live teacher, and by QLoRA; GPTQ and SparseGPT treat the layers of its first blocks;
then come the tests marked `gpu`. Each part is a process of its own with a time that it may take. Parts for which not
enough is left of the whole are skipped, and the table says so. For a bare machine with torch for CUDA, transformers,
accelerate and peft, without vLLM; `wheels.txt` lists what else it needs. Run as
`python benchmarks/gpu/run.py --out FOLDER`, which gets the table as JSON; with `--cpu` sizes are tiny, to see that all
works where there is no GPU: a minute.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "src")]

BUDGET = 480.0
"""Seconds that all parts may take."""
SKIPPED = 2
"""Steps at the start that aren't timed: they make the optimizer's state and warm the kernels."""
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12}
"""Dense bfloat16 operations a second, by a part of the GPU's name, as NVIDIA's data sheets have them."""
TESTS = "tests marked gpu"


@dataclass(frozen=True)
class Sizes:
    """How large all is."""

    hidden: int = 896
    intermediate: int = 4864
    blocks: int = 24
    heads: int = 14
    vocabulary: int = 151_936
    rows: int = 384
    batch: int = 32
    length: int = 512
    """Tokens of a row at most; rows nearly fill it."""
    texts: int = 64
    """Calibration texts of GPTQ and SparseGPT."""
    measured: int = 3
    """Blocks that they treat; the first is not timed."""


TINY = Sizes(64, 192, 2, 2, 2048, rows=24, batch=4, length=48, texts=8, measured=2)
"""Of the CPU mode."""


@dataclass(frozen=True)
class Part:
    """One thing to measure."""

    name: str
    limit: float
    """Seconds that it may take; it starts only if they are left."""
    run: Callable[[Path, Sizes, bool], Mapping[str, float]]


def main() -> None:
    """Run all parts and print the table."""
    options = arguments()
    sizes = TINY if options.cpu else Sizes()
    if options.part:
        print(json.dumps(alone(options.part, Path(options.folder), sizes, options.cpu)))
        return
    started, results = time.monotonic(), []
    print(f"{machine(options.cpu)}; {sizes}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            left = options.budget - (time.monotonic() - started)
            results.append(outcome(part, left, Path(folder), options))
            print(line(results[-1]), flush=True)
        results.append(tested(options.budget - (time.monotonic() - started), options))
        print(line(results[-1]), flush=True)
    print(f"{time.monotonic() - started:.0f} seconds of {options.budget:.0f}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        record = {"machine": machine(options.cpu), "sizes": vars(sizes), "parts": results}
        (options.out / "gpu.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.exit(any("failed" in one for one in results))


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="tiny sizes, without a GPU")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds that all may take")
    parser.add_argument("--out", type=Path, help="folder for the JSON file")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def outcome(part: Part, left: float, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return what `part` measured in a process of its own, or why it didn't."""
    if left < part.limit:
        return {"part": part.name, "skipped": f"needs up to {part.limit:.0f} s, and {left:.0f} are left"}
    command = [sys.executable, __file__, "--part", part.name, "--folder", str(folder)]
    return finished(part.name, [*command, *(["--cpu"] if options.cpu else [])], part.limit)


def finished(name: str, command: list[str], limit: float) -> dict[str, Any]:
    """Return what a `command` printed as JSON on its last line, or why it didn't."""
    started = time.monotonic()
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"part": name, "failed": f"took longer than {limit:.0f} s"}
    seconds = round(time.monotonic() - started, 1)
    if done.returncode:
        return {"part": name, "failed": (done.stderr or done.stdout).strip()[-2000:], "in all": seconds}
    return {"part": name, **json.loads(done.stdout.strip().splitlines()[-1]), "in all": seconds}


def environment() -> dict[str, str]:
    """Return the environment of a part."""
    path = [str(ROOT / "src"), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }


def tested(left: float, options: argparse.Namespace) -> dict[str, Any]:
    """Return how the tests marked `gpu` ended."""
    if left < 20:
        return {"part": TESTS, "skipped": f"needs 20 s, and {left:.0f} are left"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-rs", "tests/gpu"]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=left, check=False
        )
    except subprocess.TimeoutExpired:
        return {"part": TESTS, "failed": f"took longer than {left:.0f} s"}
    result = {"part": TESTS, "in all": round(time.monotonic() - started, 1)}
    counts = re.findall(r"^\d+ (?:passed|skipped|failed).*", done.stdout, re.MULTILINE)
    reasons = sorted(set(re.findall(r"SKIPPED.*?: (.*)", done.stdout)))
    summary = "; ".join([*counts, *reasons])
    return result | ({"failed": done.stdout[-3000:]} if done.returncode else {"summary": summary})


def alone(name: str, folder: Path, sizes: Sizes, cpu: bool) -> dict[str, float]:
    """Run a part in this process; return its figures, with the most memory that was held."""
    import torch

    if not cpu and not torch.cuda.is_available():
        sys.exit("there is no GPU: give --cpu for tiny sizes")
    logging.disable(logging.WARNING)
    figures = dict(next(part for part in PARTS if part.name == name).run(folder, sizes, cpu))
    if torch.cuda.is_available():
        figures["peak MB"] = torch.cuda.max_memory_allocated() / 1e6
    else:
        figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return figures


def prepare(folder: Path, sizes: Sizes, cpu: bool) -> dict[str, float]:
    """Write the model, rows of nearly `length` tokens, and their soft labels."""
    import torch
    from asking import TEACHER, WORDS, context_in
    from datasets import Dataset
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    from potstill.steps.labelling.score import SoftLabels
    from potstill.steps.loading.in_memory import LoadRows
    from potstill.teachers.transformers import Transformers

    tokenizer = AutoTokenizer.from_pretrained(TEACHER)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=max(sizes.vocabulary, len(tokenizer)),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.blocks,
        num_attention_heads=sizes.heads,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    # most words are one token; the prompt and the turns' marks take the rest
    words = [word for word in WORDS if len(tokenizer(f" {word}")["input_ids"]) == 1]
    answer = [
        " ".join(words[(start * 7 + step) % len(words)] for step in range(sizes.length * 3 // 4))
        for start in range(sizes.rows)
    ]
    rows = Dataset.from_dict({"instruction": [f"turn on {number}" for number in range(sizes.rows)], "output": answer})
    context = context_in(folder, "labels")
    teacher = Transformers(str(folder / "model"), dtype="bfloat16")
    step = SoftLabels(LoadRows([]), teacher=teacher, top_k=32)
    labelled = list(step.run(rows=rows, teacher=teacher, context=context))
    Dataset.from_list(labelled).save_to_disk(folder / "rows")
    return {"parameters": float(sum(weight.numel() for weight in Qwen3ForCausalLM(config).parameters()))}


def training(kind: str, fields: Mapping[str, Any]) -> Callable[[Path, Sizes, bool], dict[str, float]]:
    """Return a part that trains by the trainer of this name for one epoch."""
    return lambda folder, sizes, cpu: trained(kind, fields, folder, sizes, cpu)


def trained(kind: str, fields: Mapping[str, Any], folder: Path, sizes: Sizes, cpu: bool) -> dict[str, float]:
    """Train for one epoch; return tokens a second and the share of the peak."""
    import torch
    from asking import context_in
    from datasets import load_from_disk
    from transformers import AutoTokenizer

    from potstill.steps.loading.in_memory import LoadRows
    from potstill.trainers.language_models.hard_label import HardLabel
    from potstill.trainers.language_models.soft_label import SoftLabel

    model, rows = str(folder / "model"), load_from_disk(folder / "rows")
    times: list[float] = []
    stored = kind == "SoftLabel" and "teacher" not in fields
    rows = rows if stored else rows.select_columns(["instruction", "output"])
    encoded = AutoTokenizer.from_pretrained(model)(list(rows["output"]))["input_ids"]
    tokens = sum(map(len, encoded)) / len(encoded) * sizes.batch
    shared: dict[str, Any] = {
        "student": model,
        "epochs": 1,
        "batch_size": sizes.batch,
        "max_length": 2 * sizes.length,
        "micro_batch_tokens": 4096 if cpu else 16384,
        "checkpoint_every": 10**6,
        "learning_rate": 1e-5,
    }
    teacher: dict[str, Any] = {"teacher": model} if kind == "SoftLabel" else {}
    own = {**fields, **teacher}
    with tempfile.TemporaryDirectory() as work:
        context = context_in(Path(work), "gpu")
        context.progress = lambda *_, **__: times.append(clock())
        step: Any = (SoftLabel if kind == "SoftLabel" else HardLabel)(LoadRows([]), **shared, **own)
        step.run(rows=rows, student=model, context=context, **teacher)
    timed = times[SKIPPED:]
    seconds = (timed[-1] - timed[0]) / (len(timed) - 1)
    figures = {"s a step": seconds, "tokens/s": tokens / seconds}
    peak = next((rate for name, rate in PEAKS.items() if not cpu and name in torch.cuda.get_device_name()), None)
    if peak:
        figures["share of peak"] = operations(fields, kind, sizes) * tokens / seconds / peak
    return figures


def operations(fields: Mapping[str, Any], kind: str, sizes: Sizes) -> float:
    """Return the floating-point operations that training on a token needs, without those of recomputed activations.

    2 a weight forward, 2 for the gradient of the inputs, and 2 for that of the weights, which frozen ones don't have;
    of attention 4 a feature and earlier token forward, of which there are half the length on average (Chowdhery et al.
    2022, arXiv 2204.02311, appendix B).
    """
    keys, heads = 2 * 64, sizes.heads * 64
    block = sizes.hidden * (2 * heads + 2 * keys) + 3 * sizes.hidden * sizes.intermediate
    weights = sizes.blocks * block + sizes.hidden * sizes.vocabulary
    forward = 2.0 * weights + 4.0 * sizes.blocks * heads * sizes.length / 2
    passes = 2 if "qlora" in fields else 3
    return forward * (passes + (1 if kind == "SoftLabel" and "teacher" in fields else 0))


def clock() -> float:
    """Return the time when all work given to the GPU is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def layerwise(method: str) -> Callable[[Path, Sizes, bool], dict[str, float]]:
    """Return a part that treats the layers of the first blocks by a method."""
    return lambda folder, sizes, cpu: treated(method, folder, sizes)


def treated(method: str, folder: Path, sizes: Sizes) -> dict[str, float]:
    """Treat the layers of the first blocks; return the seconds of a layer, and of a block's statistics."""
    import torch

    from potstill.compression.layerwise import walk
    from potstill.compression.pruning.sparsegpt import prune_layer
    from potstill.compression.quantization.gptq import Hessian, quantize_layer
    from potstill.models import folder as checkpoint

    loaded = checkpoint.load(folder / "model", half=True)
    generator = torch.Generator().manual_seed(0)
    batch = max(1, sizes.texts // 8)
    batches = [torch.randint(0, sizes.vocabulary, (batch, sizes.length), generator=generator) for _ in range(8)]
    recorded, seconds = [], []
    for number, block in enumerate(walk(loaded.model, batches)):
        if number == sizes.measured:
            break
        started = clock()
        hessians = block.record(lambda layer: Hessian(layer.in_features, layer.weight.device))
        recorded.append(clock() - started)
        for path, layer in block.layers.items():
            started, weight = clock(), layer.weight.data
            if method == "GPTQ":
                group = 64 if sizes is TINY else 128
                changed = quantize_layer(weight, hessians[path], 4, group, 0.01, weight.dtype).dequantize()
            else:
                changed = prune_layer(weight, hessians[path], 0.5, None, 0.01, None).weight
            weight.copy_(changed)
            if number:
                seconds.append(clock() - started)
    return {"s a layer": sum(seconds) / len(seconds), "s recording a block": sum(recorded[1:]) / len(recorded[1:])}


PARTS = (
    Part("model and soft labels", 90, prepare),
    Part("SFT", 60, training("HardLabel", {})),
    Part("stored top-k", 60, training("SoftLabel", {"alpha": 1.0})),
    Part("live teacher", 75, training("SoftLabel", {"alpha": 1.0, "teacher": ""})),
    Part("QLoRA", 75, training("HardLabel", {"qlora": True})),
    Part("GPTQ", 60, layerwise("GPTQ")),
    Part("SparseGPT", 60, layerwise("SparseGPT")),
)


def machine(cpu: bool) -> str:
    """Return what this runs on, with the versions of what computes."""
    import torch
    import transformers

    device = platform.machine() if cpu or not torch.cuda.is_available() else torch.cuda.get_device_name()
    python = platform.python_version()
    return f"{device}; Python {python}, torch {torch.__version__}, transformers {transformers.__version__}"


def line(result: Mapping[str, Any]) -> str:
    """Return the table's line of a part."""
    for how in ("skipped", "failed", "summary"):
        if how in result:
            return f"{result['part']:24}{how + ': ' if how != 'summary' else ''}{result[how]}"
    figures = (f"{name} {value:,.4g}" for name, value in result.items() if name not in ("part", "in all"))
    return f"{result['part']:24}{'; '.join(figures)}; {result['in all']:g} s in all"


if __name__ == "__main__":
    main()
