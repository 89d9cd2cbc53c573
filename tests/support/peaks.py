"""The most memory that steps hold on a small model, each in a process of its own; prints it by name as JSON.

Run as `python peaks.py FOLDER SCRATCH NAME...`, with the names of `STEPS`. What is counted is the memory that the
process holds itself, without pages of mapped files, above what it held with all libraries loaded (Linux).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVERY = 0.001
"""Seconds between two looks."""
MMAP_THRESHOLD = -3
"""Number of glibc's option: allocations from so many bytes on are given back at once."""
TRAINED = {"batch_size": 2, "epochs": 1, "max_length": 128, "gradient_checkpointing": True, "learning_rate": 1e-5}


def steps() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return the steps by name, with their fields."""
    from potstill import steps as all_steps
    from potstill.trainers import HardLabel, LoRA

    return {
        "WandaPrune": (all_steps.WandaPrune, {}),
        "SparseGPTPrune": (all_steps.SparseGPTPrune, {}),
        "GPTQ": (all_steps.QuantizeInt4, {"group_size": 64}),
        "AWQ": (all_steps.QuantizeInt4, {"group_size": 64, "method": "awq"}),
        "MixedPrecision": (all_steps.MixedPrecision, {}),
        "LowRank": (all_steps.LowRank, {"rank": 8}),
        "QuantizeInt8": (all_steps.QuantizeInt8, {}),
        "QuantizeFP8": (all_steps.QuantizeFP8, {}),
        "NF4": (all_steps.NF4, {}),
        "GOBO": (all_steps.GOBO, {}),
        "MagnitudePrune": (all_steps.MagnitudePrune, {}),
        "LoRA": (HardLabel, {"lora": LoRA(rank=2, merge=False), **TRAINED}),
    }


def make(folder: Path, hidden: int = 512, blocks: int = 12) -> None:
    """Save a model in bfloat16, by default of 55 MB, of many blocks with little beside them."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    import tiny

    tiny.tokenizer(folder, 384)
    sizes = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": blocks, "vocab_size": 384}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
    config = LlamaConfig(**sizes, **heads, tie_word_embeddings=True, eos_token_id=2, pad_token_id=0, bos_token_id=None)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)


def run(name: str, folder: Path, scratch: Path) -> None:
    """Run a step on the model in `folder`."""
    import dataclasses

    from datasets import Dataset

    import learning
    from potstill.steps import LoadRows

    kind, fields = steps()[name]
    context = learning.context(scratch)
    if "batch_size" in fields:
        kind(LoadRows([]), student=str(folder), **fields).run(learning.dataset(learning.rows(4)), str(folder), context)
        return
    calls: dict[str, Any] = {}
    if any(one.name == "calibration" and one.default is dataclasses.MISSING for one in dataclasses.fields(kind)):
        fields = {**fields, "calibration": LoadRows([]), "text": "text", "max_length": 32}
        words = ["turn the light on in the kitchen", "what is the weather like in Paris today"]
        calls["calibration"] = Dataset.from_dict({"text": [f"{text}, and again {text}" for text in words * 4]})
    kind(str(folder), **fields).run(model=str(folder), context=context, **calls)


def peak(work: Callable[[], None]) -> int:
    """Return the most bytes that `work` holds, done in a fork of this process."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writer, str(_watched(work)).encode())
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the fork must end here, whatever happens
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as file:
        answer = file.read()
    os.wait()
    return int(answer)


def _watched(work: Callable[[], None]) -> int:
    ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 2**16)
    before, most, done = _held(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            most[0] = max(most[0], _held())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return most[0] - before


def _held() -> int:
    """Return the bytes that this process holds itself."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def main() -> None:
    """Measure the steps that are named."""
    folder, scratch, *names = sys.argv[1:]
    import torch

    from potstill.compression import slabs
    from potstill.compression.formats import shards
    from potstill.compression.quantization import gptq
    from potstill.models import written

    torch.set_num_threads(1)
    # the same for models of all sizes: a small result would wait for its only file, and be read again as a whole
    shards.LEAST = written.SMALL = 2**20
    slabs.MOST, gptq.AT_ONCE = 2**16, 2**18
    model, work = Path(folder), Path(scratch)
    make(work / "tiny", 128, 1)
    found = {}
    for name in names:
        # libraries that the step needs are no part of what it holds
        run(name, work / "tiny", work / "first" / name)
        found[name] = peak(lambda step=name: run(step, model, work / step))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
