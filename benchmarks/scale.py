"""More than one process: replicas of a teacher beside one, and a training in two processes beside one.

Run as `python benchmarks/scale.py [replicas] [training]` on a machine that does nothing else. Both sides run in turn;
ratios are of neighbours in time, and their median is printed with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asking import TEACHER, commands, context_in

from potstill.engine.running import services
from potstill.prompts import render
from potstill.teachers.protocol import Request, Sampling
from potstill.teachers.vllm.teacher import VLLM

BAR = 1.7
"""Times the throughput of one server that two must have."""


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["replicas", "training"])
    parser.add_argument("--prompts", type=int, default=256, help="prompts a round (default: 256)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--served", type=int, default=8, help="layers of the teacher behind servers (default: 8)")
    parser.add_argument("--layers", type=int, default=24, help="layers of the teacher in training (default: 24)")
    parser.add_argument("--train", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(trained(json.loads(options.train))))
        return
    if "replicas" in options.parts:
        replicas(options)
    if "training" in options.parts:
        training(options)


def replicas(options: argparse.Namespace) -> None:
    """Print tokens/s of one server with one thread, and of two with one thread each.

    The teacher has random weights and is large enough that its servers do the work: who asks has the same cores.
    """
    teacher = {"mode": "server", "prefix_caching": False, "max_num_seqs": 16, "kv_cache_gib": 0.5}
    asked = list(requests(options.prompts))
    with tempfile.TemporaryDirectory() as name, services.private() as access, services.within(access):
        folder = str(large(Path(name) / "teacher", options.served))
        # the single server is the first of the two, which are idle while it is asked
        one, two = VLLM(folder, **teacher), VLLM(folder, **teacher, replicas=2)  # type: ignore[arg-type]
        with two.open(threads=2) as double, one.open(threads=1) as single:
            compare(options, asked, single, double)


def compare(options: argparse.Namespace, asked: Sequence[Request], single: Any, double: Any) -> None:
    """Print tokens/s of two sessions, in turn."""
    for session in (single, double):  # kernels are built at the first batches
        speed(session, asked[:64])
    pairs = []
    for turn in range(options.repeats):
        order = (double, single) if turn % 2 else (single, double)
        measured = {id(session): speed(session, asked) for session in order}
        pairs.append((measured[id(single)], measured[id(double)]))
    ratios = sorted(twice / once for once, twice in pairs)
    once, twice = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ratios)
    print(f"tokens/s of one server {once:.0f}, of two {twice:.0f}: {ratio:.2f} times ", end="")
    print(f"({ratios[0]:.2f} to {ratios[-1]:.2f}; to be at least {BAR}), {options.prompts} prompts", flush=True)


def requests(count: int) -> Iterator[Request]:
    """Yield prompts of mixed lengths."""
    for text in commands(count):
        yield Request(render("home.jinja", {"instruction": text}), Sampling(max_tokens=32))


def speed(session: Any, asked: Sequence[Request]) -> float:
    """Return the tokens a second that a session writes."""
    began = time.perf_counter()
    tokens = sum(response.completion_tokens for _, response in session.generate(asked))
    return float(tokens / (time.perf_counter() - began))


def training(options: argparse.Namespace) -> None:
    """Print seconds and memory of a training with a live teacher: in one process, in two, and in two split."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        teacher = large(folder / "teacher", options.layers)
        sizes = {"one process": (1, False), "two, whole": (2, False), "two, split": (2, True)}
        print(f"{'':14}{'seconds':>9}{'MB in process 0':>18}{'MB in process 1':>18}{'last loss':>14}")
        for label, (processes, sharding) in sizes.items():
            order = {
                "folder": str(folder / label.replace(" ", "-")),
                "teacher": str(teacher),
                "processes": processes,
                "sharding": sharding,
            }
            command = [sys.executable, __file__, "--train", json.dumps(order)]
            # freed memory goes back to the system at once, or what was freed would be measured too
            environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            result = json.loads(done.stdout.splitlines()[-1])
            memory = f"{result['own'] / 1e6:18.0f}{result['others'] / 1e6 if processes > 1 else 0:18.0f}"
            print(f"{label:14}{result['seconds']:9.1f}{memory}{result['loss']:14.6f}", flush=True)


def large(folder: Path, layers: int) -> Path:
    """Write a teacher with random weights and the embedded one's tokenizer; return its folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(TEACHER)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 768, 3072, layers
    config.num_attention_heads = config.num_key_value_heads = 12
    config.head_dim = 64
    if getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * layers
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TEACHER).save_pretrained(folder)
    return folder


def trained(order: dict[str, Any]) -> dict[str, float]:
    """Train in this process, and in others if the order says so; return seconds, memory and the last loss."""
    import resource

    from datasets import Dataset

    from potstill.trainers import SoftLabel

    folder, base = Path(order["folder"]), TEACHER.parent / "base"
    folder.mkdir()
    draw = random.Random(0)
    rows = [
        {"id": str(n), "instruction": text, "output": json.dumps({"device": draw.choice("abc")})}
        for n, text in enumerate(commands(16))
    ]
    step = SoftLabel(
        None,  # type: ignore[arg-type]  # the rows are given to `run`
        student=str(base),
        teacher=order["teacher"],
        processes=order["processes"],
        sharding=order["sharding"],
        epochs=1,
        batch_size=8,
        precision="float32",
        prompt="home.jinja",
    )
    context = context_in(folder, "student", threads=os.cpu_count() or 1)
    context.out = folder / "out"
    began = time.perf_counter()
    step.run(Dataset.from_list(rows), base, context=context, teacher=Path(order["teacher"]))
    seconds = time.perf_counter() - began
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    loss = [entry["loss"] for entry in context.notes["curve"] if "loss" in entry][-1]
    return {"seconds": seconds, "own": own * 1024, "others": others * 1024, "loss": loss}


if __name__ == "__main__":
    main()
