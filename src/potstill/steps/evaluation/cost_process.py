"""Measures what one model costs, in a process that does nothing else: `python -m ... REQUEST RESULT`.

Order: load, warm up, single requests of one token, single requests of whole answers, then many at once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.steps.evaluation import energy

if TYPE_CHECKING:
    from potstill.teachers.protocol import Request, Response, Session, Teacher


@dataclass(frozen=True)
class Protocol:
    """How a model is measured."""

    threads: int
    """Threads that it may use."""
    warmup: int
    """Requests before those that are measured."""
    requests: int
    """Single requests behind each percentile."""
    concurrent: tuple[int, ...]
    """Requests at once, one figure for each."""
    waves: int
    """How often as many are sent."""


@dataclass(frozen=True)
class Cost:
    """What one process measured."""

    load_s: float
    """Seconds until the model was ready, imports included."""
    first_token_s: list[float]
    """Seconds to the first token of single requests."""
    per_token_s: list[float]
    """Seconds a further token of single requests."""
    tokens_per_s: dict[str, float]
    """Tokens written a second, by the number of requests at once."""
    peak_memory_bytes: int
    """Peak resident memory of the process and those it started."""
    device_memory_bytes: int | None
    """Peak memory on the GPU; None without one, or where the engine keeps it in another process."""
    joules_per_token: dict[str, float | None]
    """Energy a token, by the number of requests at once; None where the machine doesn't report it."""
    energy_by: str
    """Names of the counters that this is of, or that there are none."""
    failed: int
    """Requests that failed; they are not among the figures."""
    runtime: str
    """What answered, if it has a name of its own."""


def measure(teacher: Teacher, requests: Sequence[Request], protocol: Protocol) -> Cost:
    """Return what `teacher` costs on `requests`, whose sampling says how long answers may be."""
    from potstill.models.footprint import peak_memory

    started = time.perf_counter()
    with teacher.open(threads=protocol.threads) as session:
        load = time.perf_counter() - started
        warming = _cycle(requests, protocol.warmup + min(max(protocol.concurrent), 8))
        list(_written(session, warming))
        first, each, failed = _single(session, requests, protocol)
        rates: dict[str, float] = {}
        joules: dict[str, float | None] = {}
        for count in protocol.concurrent:
            before, begun, tokens = energy.counters(), time.perf_counter(), 0
            for wave in range(protocol.waves):
                for response in _written(session, _cycle(requests, count, wave * count)):
                    failed += response.finish_reason == "error"
                    tokens += response.completion_tokens
            rates[str(count)] = tokens / (time.perf_counter() - begun)
            total = energy.spent(before, energy.counters())
            joules[str(count)] = None if total is None or not tokens else total / tokens
        memory, runtime = peak_memory(), str(getattr(session, "title", ""))
        device = _device_memory()
    energy_by = ", ".join(energy.counters()) or energy.NOT_REPORTED
    return Cost(load, first, each, rates, memory, device, joules, energy_by, failed, runtime)


def _device_memory() -> int | None:
    """Return the peak bytes that this process had on GPUs."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return sum(int(torch.cuda.max_memory_allocated(number)) for number in range(torch.cuda.device_count())) or None


def _single(session: Session, requests: Sequence[Request], protocol: Protocol) -> tuple[list[float], list[float], int]:
    """Return seconds to the first token and a further one, of requests by themselves, and how many failed."""
    first: list[float] = []
    each: list[float] = []
    failed = 0
    for request in _cycle(requests, protocol.requests):
        short = replace(request, sampling=replace(request.sampling, max_tokens=1))
        begun = time.perf_counter()
        failures = [one.finish_reason == "error" for one in _written(session, [short])]
        to_first = time.perf_counter() - begun
        begun = time.perf_counter()
        whole = [one for one in _written(session, [request]) if one.finish_reason != "error"]
        seconds = time.perf_counter() - begun
        if any(failures) or not whole:
            failed += 1
            continue
        first.append(to_first)
        if whole[0].completion_tokens > 1:
            each.append(max(0.0, seconds - to_first) / (whole[0].completion_tokens - 1))
    return first, each, failed


def _written(session: Session, requests: Iterable[Request]) -> Iterator[Response]:
    """Yield the responses."""
    for _, response in session.generate(list(requests)):
        yield response


def _cycle(requests: Sequence[Request], count: int, start: int = 0) -> list[Request]:
    """Return `count` requests, from the beginning again where there are fewer."""
    return [requests[(start + number) % len(requests)] for number in range(count)]


def main(request: str, result: str) -> None:
    """Measure what the file `request` says, and write the file `result`."""
    import cloudpickle

    # written by the step that started this process, in its own folder
    teacher, requests, protocol = cloudpickle.loads(Path(request).read_bytes())
    cost = measure(teacher, requests, protocol)
    Path(result).write_text(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
