"""Potstill's `Endpoint` against a bare asyncio loop over the official client: same server, prompts and concurrency.

One vLLM server, started here, serves all sides in turn, without a prefix cache; ratios are of neighbours in time.
Potstill's side has all that a step has: requests looked up in the journal, answers checked and written to it. Run as
`python benchmarks/endpoint.py [--model FOLDER] [--distilabel PYTHON]`; the latter is the Python of an environment that
has `distilabel[openai]`, whose client then gets a line of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asking import TEACHER, commands, context_in

from potstill.engine.running import services
from potstill.prompts import render
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.protocol import Request, Sampling
from potstill.teachers.vllm.replicas import service_of
from potstill.teachers.vllm.teacher import VLLM

BAR = 0.95
KEY = "POTSTILL_BENCHMARK_KEY"
DISTILABEL = """
import json, os, sys, time
from distilabel.models import OpenAILLM
asked = json.load(sys.stdin)
llm = OpenAILLM(model=asked["model"], base_url=asked["url"], api_key=os.environ["POTSTILL_BENCHMARK_KEY"], timeout=600)
llm.load()
size, chats, tokens = asked["concurrency"], asked["chats"], 0
llm.generate_outputs(inputs=chats[:size], max_new_tokens=asked["max_tokens"], temperature=0.0)
start = time.perf_counter()
for first in range(0, len(chats), size):
    made = llm.generate_outputs(inputs=chats[first:first + size], max_new_tokens=asked["max_tokens"], temperature=0.0)
    tokens += sum(sum(one["statistics"]["output_tokens"]) for one in made)
print(json.dumps([tokens, time.perf_counter() - start]))
"""


@dataclass(frozen=True)
class Case:
    """What all sides are given."""

    url: str
    """Address of the server."""
    model: str
    """Name of the model there."""
    chats: list[list[dict[str, str]]]
    """The prompts."""
    options: argparse.Namespace
    """Concurrency, longest answer."""


Side = Callable[[Case], tuple[int, float]]
"""Asks for all and returns (tokens written, seconds)."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(TEACHER), help="a model folder (default: the embedded teacher)")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--distilabel", metavar="PYTHON", help="Python of an environment that has distilabel[openai]")
    options = parser.parse_args()
    teacher = VLLM(options.model, mode="server", prefix_caching=False, max_num_seqs=options.concurrency)
    with services.private() as access:
        running = services.reach(service_of(teacher, options.threads), access)
        os.environ[KEY] = access.secret
        case = Case(f"http://{services.HOST}:{running.port}/v1", "teacher", prompts(options.prompts), options)
        for side in (raw, potstill):  # kernels are built at the first batch, modules imported at the first call
            side(Case(case.url, case.model, case.chats[:64], options))
        print(
            f"{Path(options.model).name}: {options.prompts} prompts, concurrency {options.concurrency}, "
            f"{options.threads} threads"
        )
        compare(case, sides(options))


def sides(options: argparse.Namespace) -> dict[str, Side]:
    """Return who is measured against the bare loop; say who is not, and why."""
    measured: dict[str, Side] = {"potstill": potstill}
    python = options.distilabel
    if python and subprocess.run([python, "-c", "import distilabel.models"], capture_output=True).returncode == 0:
        measured["distilabel"] = distilabel
    else:
        print(f"distilabel: skipped, {'it is not installed in ' + python if python else 'give --distilabel PYTHON'}")
    return measured


def compare(case: Case, measured: dict[str, Side]) -> None:
    """Print a line for each side: tokens/s of the bare loop right before or after it, its own, and their ratio."""
    print(f"{'':12}{'raw tok/s':>12}{'its tok/s':>12}{'ratio':>8}{'bar':>6}")
    for name, side in measured.items():
        pairs = []
        for turn in range(case.options.repeats):
            speeds = {}
            for one in (side, raw) if turn % 2 else (raw, side):
                tokens, seconds = one(case)
                speeds[one] = tokens / seconds
            pairs.append((speeds[raw], speeds[side]))
        ratio = statistics.median(ours / theirs for theirs, ours in pairs)
        theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        bar = f"{BAR:6.2f}" if name == "potstill" else ""
        print(f"{name:12}{theirs:12.0f}{ours:12.0f}{ratio:8.3f}{bar}", flush=True)


def prompts(count: int) -> list[list[dict[str, str]]]:
    """Return chats of mixed lengths."""
    return [render("home.jinja", {"instruction": text}) for text in commands(count)]


def raw(case: Case) -> tuple[int, float]:
    """Ask by as many workers as there may be requests, with the official client as it is."""
    from openai import AsyncOpenAI

    async def work() -> tuple[int, float]:
        left, tokens = iter(case.chats), 0
        async with AsyncOpenAI(base_url=case.url, api_key=os.environ[KEY], timeout=600) as client:

            async def worker() -> None:
                nonlocal tokens
                for chat in left:
                    turns: Any = chat
                    answer = await client.chat.completions.create(
                        model=case.model, messages=turns, temperature=0, max_tokens=case.options.max_tokens
                    )
                    tokens += answer.usage.completion_tokens if answer.usage else 0

            start = time.perf_counter()
            await asyncio.gather(*(worker() for _ in range(case.options.concurrency)))
            return tokens, time.perf_counter() - start

    return asyncio.run(work())


def potstill(case: Case) -> tuple[int, float]:
    """Ask as a step does, into an empty journal on disk."""
    teacher = Endpoint(case.url, case.model, api_key_env=KEY, concurrency=case.options.concurrency)
    sampling = Sampling(max_tokens=case.options.max_tokens)
    with tempfile.TemporaryDirectory() as folder:
        context = context_in(Path(folder), "ask")
        start = time.perf_counter()
        with Asker(teacher, context) as asker:
            asked = ((number, Request(chat, sampling)) for number, chat in enumerate(case.chats))
            for _, response in asker.ask(asked):
                assert response.finish_reason != "error", response.text
        seconds = time.perf_counter() - start
        return context.notes["usage"]["completion_tokens"], seconds


def distilabel(case: Case) -> tuple[int, float]:
    """Ask by distilabel's client, in batches of the same concurrency, as its steps do."""
    asked = {
        "url": case.url,
        "model": case.model,
        "chats": case.chats,
        "concurrency": case.options.concurrency,
        "max_tokens": case.options.max_tokens,
    }
    command = [case.options.distilabel, "-c", DISTILABEL]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    tokens, seconds = json.loads(done.stdout.splitlines()[-1])
    return tokens, seconds


if __name__ == "__main__":
    main()
