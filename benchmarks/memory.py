"""The most memory that a step holds, by method, on a real model and the same one with twice the blocks; and at 8 and 70 B.

The model is a folder such as SmolLM2-135M-Instruct's (135 million parameters, 30 blocks, bfloat16). Each measurement is a
process of its own, forked from one that has the libraries loaded, with an allocator that gives back at once what is
freed. `own` is the most that the process held itself, and `resident` that with the pages of files that it has mapped,
which the system takes back when it needs them. Both are above what such a process holds before it begins, as a multiple
of the model's weights on disk.

From the two sizes come the bytes that are held for each byte of the model (the slope: 1 is the model itself) and what does
not grow with depth: one block, its statistics, the hidden states of the texts. For larger models the first grows with
their weights and the second with a block's weights or with the square of its widest layer, whichever grows more. Run as
`python benchmarks/memory.py FOLDER`: some fifteen minutes on one core. `--random` adds a wider model of random weights, on
which the extrapolation is held against what is measured.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asking import commands, context_in
from costs import needs_texts, preload, thriftily

from potstill import Step
from potstill.steps.compression.cast_half import CastHalf
from potstill.steps.compression.low_rank import LowRank
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.depth import DepthPrune
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.quantization.fp8 import QuantizeFP8
from potstill.steps.quantization.gobo import GOBO
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.layerwise_distill import LayerwiseDistill
from potstill.steps.quantization.llm_int8 import LLMInt8
from potstill.steps.quantization.nf4 import NF4
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.loop.lora import LoRA, QLoRA

EVERY = 0.002
"""Seconds between two looks at what a process holds."""
TARGETS = {
    "8 B": {"hidden": 4096, "intermediate": 14336, "blocks": 32, "keys": 1024, "tables": 2 * 128256 * 4096},
    "70 B": {"hidden": 8192, "intermediate": 28672, "blocks": 80, "keys": 1024, "tables": 2 * 128256 * 8192},
}
"""The shapes of Llama 3's models, to which is extrapolated."""
LOADING = "load"
TRAINED = {"batch_size": 2, "epochs": 1, "max_length": 256, "checkpoint_every": 10**6, "learning_rate": 1e-5}
"""What all trainings have in common."""
ROWS = 4
"""Rows of a training: two optimizer steps."""


@dataclass(frozen=True)
class Shape:
    """What the memory of a step depends on."""

    weights: int
    """Bytes of all weights."""
    block: int
    """Bytes of a block's."""
    widest: int
    """Input features of the widest layer."""


@dataclass(frozen=True)
class Peak:
    """The most that a process held above what it held before."""

    own: int
    """Bytes of its own."""
    resident: int
    """Bytes with the pages of files."""
    seconds: float
    """That it took."""


def methods() -> Mapping[str, tuple[type[Step], Mapping[str, Any]]]:
    """Return the steps by name, with their fields."""
    return {
        "CastHalf": (CastHalf, {"dtype": "float16"}),
        "MagnitudePrune": (MagnitudePrune, {}),
        "WandaPrune": (WandaPrune, {}),
        "SparseGPTPrune": (SparseGPTPrune, {}),
        "WidthPrune": (WidthPrune, {"intermediate_size": 768}),
        "DepthPrune": (DepthPrune, {"layers": 15}),
        "LowRank": (LowRank, {"budget": 0.8}),
        "GOBO": (GOBO, {}),
        "QuantizeFP8": (QuantizeFP8, {}),
        "QuantizeInt8": (QuantizeInt8, {}),
        "QuantizeInt8, SmoothQuant": (QuantizeInt8, {"smoothquant": 0.5}),
        "LLMInt8": (LLMInt8, {}),
        "NF4": (NF4, {}),
        "QuantizeInt4, GPTQ": (QuantizeInt4, {"group_size": 64}),
        "QuantizeInt4, AWQ": (QuantizeInt4, {"group_size": 64, "method": "awq"}),
        "LayerwiseDistill": (LayerwiseDistill, {"passes": 1, "group_size": 64}),
        "HardLabel": (HardLabel, {}),
        "HardLabel, LoRA": (HardLabel, {"lora": LoRA()}),
        "HardLabel, LoRA left apart": (HardLabel, {"lora": LoRA(merge=False)}),
        "HardLabel, QLoRA left apart": (HardLabel, {"qlora": QLoRA(merge=False)}),
        "SoftLabel, live teacher": (SoftLabel, {"alpha": 1.0}),
    }


def main() -> None:
    """Measure each method on each model, and print the table."""
    options = arguments()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    preload(1)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folders = [options.model, Path(scratch) / "deep"]
        alone(partial(deepen, options.model, folders[1]))
        if options.random:
            folders.append(Path(scratch) / "random")
            alone(partial(widen, options.model, folders[2], *options.random))
        shapes = [shape_of(folder) for folder in folders]
        sizes = ", ".join(f"{shape.weights / 1e6:,.0f} MB" for shape in shapes)
        print(f"{platform.machine()}, one thread; weights {sizes}; {options.texts} texts of {options.length} tokens")
        print(heading(len(shapes)), flush=True)
        for method in [LOADING, *methods()] if options.methods is None else options.methods:
            peaks = [measured(method, folder, options, Path(scratch)) for folder in folders]
            print(line(method, peaks, shapes), flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a Llama in bfloat16")
    parser.add_argument("--random", type=int, nargs=3, metavar=("HIDDEN", "INTERMEDIATE", "BLOCKS"))
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--methods", nargs="+", help="some of the methods, by their names in the table")
    parser.add_argument("--scratch", help="folder for models in between")
    return parser.parse_args()


def deepen(folder: Path, out: Path) -> None:
    """Write the model in `folder` with each block twice."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    small = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    config = AutoConfig.from_pretrained(folder)
    count = config.num_hidden_layers
    config.num_hidden_layers = 2 * count
    config.dtype = small.dtype
    deep = AutoModelForCausalLM.from_config(config, dtype=small.dtype)
    weights = small.state_dict()
    for name in list(weights):
        if name.startswith("model.layers."):
            _, _, number, rest = name.split(".", 3)
            weights[f"model.layers.{int(number) + count}.{rest}"] = weights[name]
    deep.load_state_dict(weights)
    deep.save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)


def widen(folder: Path, out: Path, hidden: int, intermediate: int, blocks: int) -> None:
    """Write a model of the same type with random weights and other widths."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = hidden, intermediate, blocks
    config.num_attention_heads, config.num_key_value_heads = hidden // 64, hidden // 128
    config.initializer_range = 0.02
    AutoModelForCausalLM.from_config(config, dtype=config.dtype).save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)


def shape_of(folder: Path) -> Shape:
    """Return the shape of the model in `folder`, by its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    keys = hidden // heads * config["num_key_value_heads"]
    tables = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return shape(hidden, config["intermediate_size"], config["num_hidden_layers"], keys, tables)


def shape(hidden: int, intermediate: int, blocks: int, keys: int, tables: int) -> Shape:
    """Return the shape of a Llama in 16 bits; `tables` are the weights of embeddings and head."""
    block = 2 * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * intermediate)
    return Shape(blocks * block + 2 * tables, block, max(hidden, intermediate))


def measured(method: str, folder: Path, options: argparse.Namespace, scratch: Path) -> Peak:
    """Return what a method holds on a model, in a process of its own."""
    work = scratch / "work"
    work.mkdir()
    try:
        return alone(lambda: thriftily(lambda: run(method, folder, options, work)))
    finally:
        shutil.rmtree(work)


def run(method: str, model: Path, options: argparse.Namespace, work: Path) -> None:
    """Run a step on `model`, or load it."""
    from datasets import Dataset

    from potstill.models import folder as checkpoint

    if method == LOADING:
        checkpoint.load(model)
        return
    kind, fields = methods()[method]
    words = commands(options.texts * 8)
    texts = [" ".join(words[start :: options.texts]) for start in range(options.texts)]
    context = context_in(work, "memory")
    if issubclass(kind, HardLabel | SoftLabel):
        rows = Dataset.from_dict({"instruction": texts[:ROWS], "output": [text[:200] for text in texts[:ROWS]]})
        teacher: dict[str, Any] = {"teacher": str(model)} if kind is SoftLabel else {}
        step: Any = kind(LoadRows([]), student=str(model), **teacher, **TRAINED, **fields)  # type: ignore[arg-type]
        step.run(rows=rows, student=str(model), **teacher, context=context)
        return
    calls: dict[str, Any] = {}
    if needs_texts(kind) or "smoothquant" in fields:
        fields = {**fields, "calibration": LoadRows([]), "text": "text", "max_length": options.length}
        calls["calibration"] = Dataset.from_dict({"text": texts})
    step = kind(str(model), **fields)  # type: ignore[call-arg]
    step.run(model=str(model), context=context, **calls)


def alone(work: Callable[[], None]) -> Peak:
    """Return what `work` holds in a forked process."""
    process = multiprocessing.get_context("fork").Process(target=watched, args=(work, sender := Sender()))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("the process failed, see above")
    return sender.result()


class Sender:
    """Brings a result from a forked process."""

    def __init__(self) -> None:
        """Open a pipe."""
        self._receiver, self._sender = multiprocessing.Pipe(duplex=False)

    def send(self, peak: Peak) -> None:
        """Send the result."""
        self._sender.send(peak)

    def result(self) -> Peak:
        """Return it."""
        peak: Peak = self._receiver.recv()
        return peak


def watched(work: Callable[[], None], sender: Sender) -> None:
    """Do `work`, and send the most that this process held meanwhile."""
    before, most, done = held(), [0, 0], threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            most[:] = [max(pair) for pair in zip(most, held(), strict=True)]

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    sender.send(Peak(most[0] - before[0], most[1] - before[1], seconds))


def held() -> tuple[int, int]:
    """Return the bytes that this process holds itself, and those with the pages of files (Linux)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    own, resident = (int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS"))
    return own, resident


def heading(count: int) -> str:
    """Return the lines above the table."""
    columns = "".join(f"{f'own {number + 1}':>8}{'resident':>9}{'s':>6}" for number in range(count))
    return f"{'':28}{columns}{'slope':>7}{'fixed':>8}" + "".join(f"{name:>9}" for name in TARGETS)


def line(method: str, peaks: Sequence[Peak], shapes: Sequence[Shape]) -> str:
    """Return the table's line of a `method`: multiples of the weights, slope, megabytes besides, gigabytes to come."""
    text = f"{method:28}"
    for peak, own in zip(peaks, shapes, strict=True):
        text += f"{peak.own / own.weights:>8.2f}{peak.resident / own.weights:>9.2f}{peak.seconds:>6.0f}"
    small, deep = shapes[:2]
    slope = (peaks[1].own - peaks[0].own) / (deep.weights - small.weights)
    fixed = peaks[0].own - slope * small.weights
    text += f"{slope:>7.2f}{fixed / 1e6:>8,.0f}"
    for target in (shape(**size) for size in TARGETS.values()):
        text += f"{expected(target, small, slope, fixed) / 1e9:>9,.0f}"
    if len(shapes) > 2:
        text += f"   expected of the third {expected(shapes[2], small, slope, fixed) / shapes[2].weights:.2f}"
    return text


def expected(target: Shape, small: Shape, slope: float, fixed: float) -> float:
    """Return the bytes that are held with a model of another shape."""
    growth = max(target.block / small.block, (target.widest / small.widest) ** 2)
    return slope * target.weights + max(fixed, 0) * growth


if __name__ == "__main__":
    main()
