"""The most memory that a step holds, by method, on a real model; and what to expect at 8 and 70 billion parameters.

The model is a folder such as SmolLM2-135M-Instruct's (135 million parameters, 30 blocks, bfloat16). Each measurement is
a process of its own, forked from one that has the libraries loaded, with an allocator that gives back at once what is
freed. `own` is the most that the process held itself, and `resident` that with the pages of files that it has mapped,
such as weights that are read only, which the system takes back when it needs them. Both are above what such a process
holds before it begins, in multiples of the model's weights.

The model's first 6 and 12 blocks give the slope: bytes held for each byte of weights more, where 1 is the model itself.
Random weights of twice the width say how much of the rest grows with a block (its float32 copy, statistics, hidden
states) and how much only with the vocabulary (logits of the agreement). With these three numbers the whole model is
expected, to be held against what it took, and larger ones are extrapolated. Run as
`python benchmarks/memory.py FOLDER`: some twenty minutes on one core.
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
    "8 B": {"hidden": 4096, "intermediate": 14336, "blocks": 32, "keys": 1024},
    "70 B": {"hidden": 8192, "intermediate": 28672, "blocks": 80, "keys": 1024},
}
"""The shapes of Llama 3's models, to which is extrapolated."""
VOCABULARY = 128_256
"""Their tokens."""
LOADING = "load"
FEW = 6
"""Blocks of the smallest model that is measured."""
HEADING = f"{'':28}{'own':>6}{'resident':>9}{'expected':>9}{'slope':>7}{'block':>7}{'rest, MB':>9}" + "".join(
    f"{name + ', GB':>10}" for name in TARGETS
)
TRAINED = {
    "batch_size": 2,
    "epochs": 1,
    "max_length": 256,
    "checkpoint_every": 10**6,
    "learning_rate": 1e-5,
    "gradient_checkpointing": True,
}
"""What all trainings have in common: activations of one block, which would grow with the depth otherwise."""
ROWS = 4
"""Rows of a training: two optimizer steps."""


@dataclass(frozen=True)
class Shape:
    """What the memory of a step depends on."""

    weights: int
    """Bytes of all weights."""
    block: int
    """Bytes of a block's, or of the statistics of its widest layer, if they are more."""
    vocabulary: int
    """Tokens."""


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
        "DepthPrune": (DepthPrune, {"layers": 4}),
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
        folders = [options.model, *(Path(scratch) / name for name in ("few", "more", "wide"))]
        alone(partial(cut, options.model, folders[1], FEW))
        alone(partial(cut, options.model, folders[2], 2 * FEW))
        alone(partial(widen, options.model, folders[3], FEW))
        shapes = [shape_of(folder) for folder in folders]
        sizes = ", ".join(f"{shape.weights / 1e6:,.0f} MB" for shape in shapes)
        print(f"{platform.machine()}, one thread; weights {sizes}; {options.texts} texts of {options.length} tokens")
        print(HEADING, flush=True)
        for method in [LOADING, *methods()] if options.methods is None else options.methods:
            peaks = [measured(method, folder, options, Path(scratch)) for folder in folders]
            print(line(method, peaks, shapes), flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a Llama in bfloat16")
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--methods", nargs="+", help="some of the methods, by their names in the table")
    parser.add_argument("--scratch", help="folder for models in between")
    return parser.parse_args()


def cut(folder: Path, out: Path, blocks: int) -> None:
    """Write the model in `folder` with its first blocks only."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = blocks
    AutoModelForCausalLM.from_pretrained(folder, config=config, dtype="auto").save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)


def widen(folder: Path, out: Path, blocks: int) -> None:
    """Write a model of the same type with random weights, twice as wide."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    for field in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"):
        setattr(config, field, 2 * getattr(config, field))
    config.num_hidden_layers, config.initializer_range = blocks, 0.02
    AutoModelForCausalLM.from_config(config, dtype=config.dtype).save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)


def shape_of(folder: Path) -> Shape:
    """Return the shape of the model in `folder`, by its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    keys = hidden // heads * config["num_key_value_heads"]
    tables = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)
    shown = {"intermediate": config["intermediate_size"], "blocks": config["num_hidden_layers"], "keys": keys}
    return shape(hidden, **shown, tables=tables, vocabulary=config["vocab_size"])


def shape(hidden: int, intermediate: int, blocks: int, keys: int, tables: int, vocabulary: int) -> Shape:
    """Return the shape of a Llama in 16 bits; `tables` are the weights of embeddings and head."""
    block = 2 * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * intermediate)
    return Shape(blocks * block + 2 * tables, max(block, 2 * max(hidden, intermediate) ** 2), vocabulary)


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

    from potstill.compression.formats import shards
    from potstill.models import folder as checkpoint

    # the results of small models would all wait for their only file
    shards.LEAST = 2**20
    if method == LOADING:
        checkpoint.load(model)
        return
    kind, fields = methods()[method]
    words = commands(options.texts * 8)
    texts = [" ".join(words[start :: options.texts]) for start in range(options.texts)]
    context = context_in(work, "memory")
    if issubclass(kind, HardLabel | SoftLabel):
        rows = Dataset.from_dict({"instruction": texts[:ROWS], "output": [text[:40] for text in texts[:ROWS]]})
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


def line(method: str, peaks: Sequence[Peak], shapes: Sequence[Shape]) -> str:
    """Return the table's line of a `method`: multiples of the weights, the three numbers, gigabytes to come."""
    whole, few, more, wide = shapes
    slope = (peaks[2].own - peaks[1].own) / (more.weights - few.weights)
    narrow_rest, wide_rest = (max(peaks[at].own - slope * shapes[at].weights, 0) for at in (1, 3))
    # what is not the model's: so many times a block, and the same for every width
    blocks = max((wide_rest - narrow_rest) / (wide.block - few.block), 0)
    rest = max(narrow_rest - blocks * few.block, 0)

    def expected(target: Shape) -> float:
        return slope * target.weights + blocks * target.block + rest * target.vocabulary / few.vocabulary

    text = f"{method:28}{peaks[0].own / whole.weights:>6.2f}{peaks[0].resident / whole.weights:>9.2f}"
    text += f"{expected(whole) / whole.weights:>9.2f}{slope:>7.2f}{blocks:>7.1f}{rest / 1e6:>9,.0f}"
    return text + "".join(
        f"{expected(shape(**size, tables=2 * VOCABULARY * size['hidden'], vocabulary=VOCABULARY)) / 1e9:>10,.1f}"
        for size in TARGETS.values()
    )


if __name__ == "__main__":
    main()
