"""Generation through Potstill (render, generate, parse, journal) against `vllm.LLM.generate` on the same prompts.

One engine serves both sides in turn, each time with an empty prefix cache; ratios are of neighbours in time. Run as
`python benchmarks/generation.py [--model FOLDER]`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asking import TEACHER, commands, context_in

from potstill.prompts import render
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.steps.filtering.filter import json_problem
from potstill.teachers.vllm.engine import VLLMSession
from potstill.teachers.vllm.teacher import VLLM

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
BARS = {"text": 0.95, "top-k": 0.90}


@dataclass(frozen=True)
class Opened:
    """A teacher that is loaded already, so that loading is not measured."""

    session: VLLMSession
    label: str = "opened"

    def identity(self) -> dict[str, str]:
        """Return a name."""
        return {"model": self.label}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[VLLMSession]:
        """Yield the session."""
        yield self.session


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(TEACHER), help="a model folder (default: the embedded teacher)")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--top-k", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine, with --threads 1")
    options = parser.parse_args()
    with VLLM(options.model).open(threads=options.threads) as opened:
        session: Any = opened  # a VLLMSession
        rows = [{"id": str(n), "instruction": text} for n, text in enumerate(commands(options.prompts))]
        raw(session, rows[:64], options, 0)  # kernels are built at the first batch
        print(f"{Path(options.model).name}: {len(rows)} prompts, {options.threads} threads, {options.clock} clock")
        print(f"{'capture':10}{'raw tok/s':>12}{'Potstill tok/s':>16}{'ratio':>8}{'bar':>6}")
        for name, top_k in (("text", 0), ("top-k", options.top_k)):
            pairs = [measure(session, rows, options, top_k, turned=bool(turn % 2)) for turn in range(options.repeats)]
            ratio = statistics.median(ours / theirs for theirs, ours in pairs)
            theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(f"{name:10}{theirs:12.0f}{ours:16.0f}{ratio:8.3f}{BARS[name]:6.2f}", flush=True)


def measure(session: VLLMSession, rows: list[Any], options: Any, top_k: int, *, turned: bool) -> tuple[float, float]:
    """Return tokens/s of (raw, Potstill), one right after the other."""
    sides: list[Callable[..., tuple[int, float]]] = [raw, through_potstill]
    speeds = {}
    for side in reversed(sides) if turned else sides:
        session.engine.reset_prefix_cache()
        tokens, seconds = side(session, rows, options, top_k)
        speeds[side] = tokens / seconds
    return speeds[raw], speeds[through_potstill]


def raw(session: VLLMSession, rows: list[Any], options: Any, top_k: int) -> tuple[int, float]:
    """Generate with vLLM alone, from rendered texts to finished outputs in memory."""
    from vllm import SamplingParams

    texts = [
        session.tokenizer.apply_chat_template(render("answer.jinja", row), add_generation_prompt=True, tokenize=False)
        for row in rows
    ]
    parameters = SamplingParams(temperature=0, max_tokens=options.max_tokens)
    if top_k:
        parameters = SamplingParams(
            temperature=0, max_tokens=options.max_tokens, logprobs=top_k, flat_logprobs=True, detokenize=False
        )
    clock = CLOCKS[options.clock]
    start = clock()
    outputs = session.engine.generate(texts, parameters, use_tqdm=False)
    seconds = clock() - start
    return sum(len(output.outputs[0].token_ids) for output in outputs), seconds


def through_potstill(session: VLLMSession, rows: list[Any], options: Any, top_k: int) -> tuple[int, float]:
    """Label and check the rows as the steps of a pipeline do, into an empty journal on disk."""
    from datasets import Dataset

    teacher, data = Opened(session), Dataset.from_list(rows)
    label = PseudoLabel(LoadSeeds(""), teacher=teacher, top_k=top_k, max_tokens=options.max_tokens)
    with tempfile.TemporaryDirectory() as folder:
        context = context_in(Path(folder), "label", options.threads)
        clock = CLOCKS[options.clock]
        start = clock()
        for row in label.run(rows=data, teacher=teacher, context=context):
            json_problem(row["output"])
        seconds = clock() - start
        assert context.notes["usage"]["calls"] == len(rows)
        return context.notes["usage"]["completion_tokens"], seconds


if __name__ == "__main__":
    main()
