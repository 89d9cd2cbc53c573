"""Time and peak memory of every compression step against the size of the model: 1, 2 and 4 times, by depth and width.

Models of Qwen3's type with random weights, which cost what trained ones do, calibrated on texts of the home domain.
Each measurement is a process of its own, forked from one that has the libraries loaded; time is that of the processor,
so that other work on the machine does not count, and memory the most that was resident, above what such a process holds
before it begins, in a run of its own in which what is freed is given back at once. The exponent is the slope of log
time over log parameters of the blocks: 1 is linear. Then come the bytes held for each byte that the model is larger by:
about 1 is the model, 0.5 more its weights as bytes that are yet to be packed and written. Run as
`python benchmarks/costs.py`: some twenty minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import importlib
import logging
import math
import multiprocessing
import os
import pkgutil
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asking import TEACHER, commands, context_in

from potstill import Step
from potstill.steps.compression.cast_half import CastHalf
from potstill.steps.compression.low_rank import LowRank
from potstill.steps.compression.share_weights import ShareWeights
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.bonsai import BonsaiPrune
from potstill.steps.pruning.depth import DepthPrune
from potstill.steps.pruning.heads import HeadPrune
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
from potstill.steps.quantization.mixed_precision import MixedPrecision
from potstill.steps.quantization.nf4 import NF4

LINEAR = 1.1
"""Bar: the largest exponent that counts as linear."""
HELD = 2.0
"""Bar: bytes held for each byte that the model is larger by in depth: itself, and at most as much of what is made."""
GIVEN_BACK = 128 * 1024
"""Freed memory of so many bytes goes back to the system at once, where peaks are measured."""
MMAP_THRESHOLD = -3
"""What `mallopt` calls the setting for it."""
LOADING = "loading alone"


@dataclass(frozen=True)
class Size:
    """The shape of a model."""

    hidden: int
    """Hidden features; there are three times as many feed-forward units."""
    layers: int
    """Blocks."""


@dataclass(frozen=True)
class Cost:
    """What a measurement found."""

    seconds: float
    """Of the processor."""
    peak: int
    """Most bytes that were resident, above those of a process that has done nothing."""


@dataclass(frozen=True)
class Made:
    """A model on disk."""

    folder: Path
    """Where it is."""
    parameters: int
    """Those of its blocks."""
    weight_bytes: int
    """Of the weights file."""


def methods(size: Size) -> Mapping[str, tuple[type[Step], Mapping[str, Any]]]:
    """Return, by name, the steps and their fields for a model of a `size`."""
    half = size.hidden * 3 // 2
    return {
        "CastHalf": (CastHalf, {"dtype": "float16"}),
        "QuantizeFP8": (QuantizeFP8, {}),
        "QuantizeInt8": (QuantizeInt8, {}),
        "QuantizeInt8, SmoothQuant": (QuantizeInt8, {"smoothquant": 0.5, "wide": 0.0}),
        "QuantizeInt4, rounded": (QuantizeInt4, {"method": "rtn"}),
        "QuantizeInt4, GPTQ": (QuantizeInt4, {}),
        "QuantizeInt4, AWQ": (QuantizeInt4, {"method": "awq"}),
        "MixedPrecision": (MixedPrecision, {}),
        "LayerwiseDistill": (LayerwiseDistill, {"passes": 2}),
        "LLMInt8": (LLMInt8, {}),
        "NF4": (NF4, {}),
        "GOBO": (GOBO, {}),
        "MagnitudePrune": (MagnitudePrune, {}),
        "WandaPrune": (WandaPrune, {}),
        "SparseGPTPrune": (SparseGPTPrune, {}),
        "WidthPrune": (WidthPrune, {"intermediate_size": half}),
        "DepthPrune": (DepthPrune, {"layers": size.layers // 2}),
        "HeadPrune": (HeadPrune, {"heads": size.hidden // 64}),
        "BonsaiPrune": (BonsaiPrune, {"intermediate_size": half, "submodels": 20, "step": 0.25}),
        "LowRank": (LowRank, {"budget": 0.8}),
        "ShareWeights": (ShareWeights, {"groups": 2}),
    }


def main() -> None:
    """Measure all steps on all models and print the tables."""
    given = arguments()
    os.environ |= {"OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1"}
    preload(given.threads)
    base = Size(given.hidden, given.layers)
    series = {
        "depth": [Size(base.hidden, base.layers * times) for times in (1, 2, 4)],
        # twice the width is four times the weights
        "width": [Size(round(base.hidden * times / 64) * 64, base.layers) for times in (1, math.sqrt(2), 2)],
    }
    print(f"{platform.machine()}, threads: {given.threads}; {given.texts} texts of {given.length} tokens")
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.series:
            result = [alone(partial(model, size, Path(scratch)))[0] for size in series[name]]
            sizes = ", ".join(
                f"{one.hidden} x {one.layers} ({two.parameters / 1e6:.1f} M)"
                for one, two in zip(series[name], result, strict=True)
            )
            print(f"\nby {name}: hidden x blocks {sizes}", flush=True)
            actual: dict[str, list[Cost]] = {}
            for method in [LOADING, *(given.methods or methods(base))]:
                actual[method] = [
                    measured(method, size, one, given, Path(scratch))
                    for size, one in zip(series[name], result, strict=True)
                ]
                print(line(method, actual[method], result, bounded=name == "depth"), flush=True)


def preload(threads: int) -> None:
    """Import all that the measured processes need, so that it is not counted as theirs; make them quiet."""
    import datasets  # noqa: F401
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM  # noqa: F401
    from transformers.utils import logging as noise

    from potstill import compression
    from potstill.models import folder as checkpoint  # noqa: F401

    for module in pkgutil.iter_modules(compression.__path__):
        importlib.import_module(f"{compression.__name__}.{module.name}")
    noise.disable_progress_bar()
    logging.disable(logging.WARNING)
    torch.set_num_threads(threads)


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256, help="features of the smallest model, a multiple of 128")
    parser.add_argument("--layers", type=int, default=4, help="blocks of the smallest model")
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--series", nargs="+", default=["depth", "width"], choices=("depth", "width"))
    parser.add_argument("--methods", nargs="+", help="some of the steps, by their names in the table")
    return parser.parse_args()


def model(size: Size, folder: Path) -> Made:
    """Write a model with random weights in bfloat16, and the tokenizer of the home domain."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    out = folder / f"{size.hidden}x{size.layers}"
    tokenizer = AutoTokenizer.from_pretrained(TEACHER)
    torch.manual_seed(0)
    heads = size.hidden // 32
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.hidden * 3,
        num_hidden_layers=size.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    result = Qwen3ForCausalLM(config).to(torch.bfloat16)
    result.save_pretrained(out)
    tokenizer.save_pretrained(out)
    blocks = sum(weight.numel() for weight in result.model.layers.parameters())
    return Made(out, blocks, (out / "model.safetensors").stat().st_size)


def measured(method: str, size: Size, made: Made, given: argparse.Namespace, scratch: Path) -> Cost:
    """Return what a step costs on a model, in a process of its own."""
    work = scratch / "work"
    work.mkdir()
    try:
        seconds = alone(lambda: compressed(method, size, made, given, work))[1].seconds
        shutil.rmtree(work)
        work.mkdir()
        peak = alone(lambda: thriftily(lambda: compressed(method, size, made, given, work)))[1].peak
        return Cost(seconds, peak)
    finally:
        shutil.rmtree(work)


def thriftily(work: Callable[[], None]) -> None:
    """Do `work` with an allocator that keeps nothing for later, so that the peak is what was needed (glibc)."""
    ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, GIVEN_BACK)
    work()


def needs_texts(kind: type[Step]) -> bool:
    """Return whether a step can't do without calibration texts."""
    return any(one.name == "calibration" and one.default is dataclasses.MISSING for one in dataclasses.fields(kind))


def compressed(method: str, size: Size, made: Made, given: argparse.Namespace, work: Path) -> None:
    """Run a step, or load the model."""
    from datasets import Dataset

    from potstill.models import folder as checkpoint

    if method == LOADING:
        checkpoint.load(made.folder)
        return
    kind, fields = methods(size)[method]
    takes = needs_texts(kind) or "smoothquant" in fields
    calls: dict[str, Any] = {}
    if takes:
        fields = {**fields, "calibration": LoadRows([]), "text": "text", "max_length": given.length}
        words = commands(given.texts * 8)
        texts = [" ".join(words[start :: given.texts]) for start in range(given.texts)]
        calls["calibration"] = Dataset.from_dict({"text": texts})
    step: Any = kind(str(made.folder), **fields)  # type: ignore[call-arg]
    step.run(model=str(made.folder), context=context_in(work, "costs", given.threads), **calls)


def alone(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """Return what `work` returns in a forked process, and what it cost."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        outcome = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        sender.send((outcome, Cost(time.process_time() - started, peak * 1024)))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    sender.close()
    try:
        result: tuple[Any, Cost] = receiver.recv()
    except EOFError:
        sys.exit("the process failed, see above")
    finally:
        process.join()
    return result


def line(method: str, costs: list[Cost], made: list[Made], bounded: bool) -> str:
    """Return the table's line of a `method`: seconds and megabytes by size, exponent, bytes a byte, verdict.

    Memory is `bounded` where blocks stay as large; by width the one that is worked on grows too, with its statistics.
    """
    exponent = slope([math.log(one.parameters) for one in made], [math.log(max(cost.seconds, 1e-3)) for cost in costs])
    sizes = [float(one.weight_bytes) for one in made]
    held = slope(sizes, [float(cost.peak) for cost in costs])
    text = "".join(f"{cost.seconds:>7.2f}" for cost in costs) + f"{exponent:>7.2f}  "
    text += "".join(f"{cost.peak / 1e6:>7.0f}" for cost in costs) + f"{held:>7.2f}"
    linear = "" if exponent <= LINEAR else f"  time above {LINEAR:g}"
    return f"{method:26}{text}{linear}" + ("" if held <= HELD or not bounded else f"  memory above {HELD:g}")


def slope(across: list[float], values: list[float]) -> float:
    """Return the slope of the line of least squares."""
    middle, height = sum(across) / len(across), sum(values) / len(values)
    spread = sum((one - middle) ** 2 for one in across)
    return sum((one - middle) * (value - height) for one, value in zip(across, values, strict=True)) / spread


if __name__ == "__main__":
    main()
