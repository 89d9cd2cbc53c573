"""What models cost: size by part, time to load, latencies, throughput, memory and energy, in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from annotated_types import Ge

from potstill.engine.step import Estimate, Output, Rows, Step
from potstill.errors import BadInput, PotstillError, Problem
from potstill.metrics.answers import percentile
from potstill.models.edge import Model
from potstill.models.footprint import bytes_by_part
from potstill.prompts import Template, rendered
from potstill.publishing.trackers import send
from potstill.steps.evaluation.cost_process import Cost, Protocol
from potstill.steps.evaluation.evaluated_model import size_on_disk, teacher_for, weights_folder
from potstill.steps.evaluation.exports import export_problems
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.protocol import Request, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class MeasureCost(Step):
    """Measure what models cost to serve: bytes, seconds, memory and energy, and nothing of their quality.

    Each model is measured `repeats` times, in turn with the others, each time in a fresh process in which nothing else
    runs, after a warm-up: seconds to load; to the first token and for each further one, of single requests (median and
    95th percentile over the requests of all processes); tokens a second at each number of `concurrent` requests, peak
    memory, and energy a token at each number where the machine reports it (medians of the processes; `spread` has the
    least and the most).
    Parameters, zeros and bytes by part are counted in the files.

    A model that can't be measured has an `error` and no figures, and the others are measured all the same. Figures of
    different runtimes (`runtime`, `teacher`) or machines say nothing of each other.

    >>> rows = LoadRows([{"instruction": "turn on the light"}])
    >>> MeasureCost({"teacher": teacher, "student": student}, rows)
    <MeasureCost unnamed, a step that has not run>
    """

    models: Mapping[str, Model]
    """The models by name: steps that make one, folders, Hub ids, or teachers."""
    rows: Rows
    """Rows whose prompts are asked, from the first on, and again from there where they are few."""
    _: KW_ONLY
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat."""
    max_tokens: Annotated[int, Ge(2)] = 64
    """Longest answer, in tokens."""
    concurrent: Sequence[Annotated[int, Ge(1)]] = (1, 8, 64)
    """Numbers of requests at once."""
    waves: Annotated[int, Ge(1)] = 2
    """How often as many requests are sent at once."""
    requests: Annotated[int, Ge(1)] = 20
    """Single requests a process; 20 are the fewest of which a 95th percentile says anything."""
    warmup: Annotated[int, Ge(0)] = 3
    """Requests before the measured ones; the first ones still pick kernels."""
    repeats: Annotated[int, Ge(1)] = 3
    """Fresh processes a model."""
    seconds: Annotated[int, Ge(1)] = 3_600
    """Longest a process may take."""

    version: ClassVar[int] = 2  # energy at each number of requests, by counters that turn over
    makes: ClassVar[str] = "metrics"
    send_results = send
    alone: ClassVar[bool] = True
    unkeyed: ClassVar[frozenset[str]] = frozenset({"seconds"})

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the models."""
        if not self.models:
            yield Problem("", "models", "no models in {}: give at least one, by name")
        if not self.concurrent:
            yield Problem("", "concurrent", "is empty: say how many requests there are at once, such as (1, 8, 64)")
        for model in self.models.values():
            if isinstance(model, (Step, Output, str, Path)):
                yield from export_problems(model, "language models", type(self).__name__)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the template uses."""
        return {"rows": prompt_columns(self.prompt)}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return the requests of all processes of all models."""
        each = self.requests + self.waves * sum(self.concurrent)
        warm = self.warmup + min(max(self.concurrent, default=0), 8)
        processes = self.repeats * len(self.models)
        return Estimate(
            calls=processes * (each + self.requests + warm), tokens=processes * (each + warm) * self.max_tokens
        )

    def run(self, models: Mapping[str, TeacherSource], rows: Dataset, context: Context) -> dict[str, Any]:
        """Measure `models`.

        Raises:
            BadInput: there are no rows, or one is no question.
            PotstillError: no model could be measured.
        """
        asked = self._requests(rows)
        protocol = Protocol(context.threads, self.warmup, self.requests, tuple(self.concurrent), self.waves)
        measured: dict[str, list[Cost]] = {name: [] for name in models}
        errors: dict[str, str] = {}
        for repeat in range(self.repeats):
            for place, (name, model) in enumerate(models.items()):
                if name in errors:
                    continue
                result = _in_process(teacher_for(model), asked, protocol, context, self.seconds)
                if isinstance(result, str):
                    errors[name] = result
                    context.logger.warning("%s can't be measured: %s", name, result)
                else:
                    measured[name].append(result)
                context.progress(repeat * len(models) + place + 1, self.repeats * len(models), note=name)
        if len(errors) == len(models):
            raise PotstillError("\n".join(f"{name} can't be measured: {text}" for name, text in errors.items()))
        return {
            "costs": {name: self._figures(models[name], measured[name], errors.get(name, "")) for name in models},
            "protocol": {
                "threads": context.threads,
                "max_tokens": self.max_tokens,
                "requests": self.requests,
                "warmup": self.warmup,
                "waves": self.waves,
                "repeats": self.repeats,
            },
        }

    def _requests(self, rows: Dataset) -> list[Request]:
        """Return the prompts, as many as are asked at most."""
        if not len(rows):
            raise BadInput("there are no rows to ask: give at least one")
        most = max(*self.concurrent, self.requests) * self.waves
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens)
        requests = []
        for number, row in enumerate(cast("Iterable[dict[str, Any]]", rows.select(range(min(most, len(rows)))))):
            chat = rendered(self.prompt, row)
            if not isinstance(chat, list):
                raise BadInput(f"row {row.get('id', number)!r}: {chat.reason}")
            requests.append(Request(chat, sampling))
        return requests

    def _figures(self, model: TeacherSource, measured: Sequence[Cost], error: str) -> dict[str, Any]:
        """Return the figures of one model."""
        folder = weights_folder(model)
        size = {**size_on_disk(folder), "bytes_by_part": None if folder is None else bytes_by_part(folder)}
        teacher = teacher_for(model)
        who = {"teacher": type(teacher).__name__, "label": teacher.label}
        if error:
            return {**who, **size, "error": error}
        # a teacher that answers from elsewhere, or only reads a file, doesn't show the memory of what serves
        runs_here = folder is not None and bool(getattr(teacher, "is_serving", True))
        return {**who, "runtime": measured[0].runtime, **size, **summary(measured, runs_here)}


def summary(measured: Sequence[Cost], runs_here: bool = True) -> dict[str, Any]:
    """Return the figures of several processes together; memory only of what `runs_here`."""
    first = [seconds for one in measured for seconds in one.first_token_s]
    each = [seconds for one in measured for seconds in one.per_token_s]
    single: dict[str, list[float | None]] = {
        "load_s": [one.load_s for one in measured],
        **{
            f"tokens_per_s_at_{count}": [one.tokens_per_s[count] for one in measured]
            for count in measured[0].tokens_per_s
        },
        "peak_memory_bytes": [one.peak_memory_bytes if runs_here else None for one in measured],
        "device_memory_bytes": [one.device_memory_bytes for one in measured],
        **{
            f"joules_per_token_at_{count}": [one.joules_per_token[count] for one in measured]
            for count in measured[0].joules_per_token
        },
    }
    values_of = {name: [one for one in values if one is not None] for name, values in single.items()}
    return {
        **_latency("first_token", first),
        **_latency("per_token", each),
        **{name: statistics.median(values) if values else None for name, values in values_of.items()},
        "spread": {name: [min(values), max(values)] for name, values in values_of.items() if values},
        "energy_by": measured[0].energy_by,
        "failed": sum(one.failed for one in measured),
    }


def _latency(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    """Return median and 95th percentile in milliseconds; None of nothing."""
    shares = {f"{name}_ms_p{share}": share / 100 for share in (50, 95)}
    return {key: 1000 * percentile(list(seconds), share) if seconds else None for key, share in shares.items()}


def _in_process(
    teacher: object, requests: Sequence[Request], protocol: Protocol, context: Context, seconds: int
) -> Cost | str:
    """Return what a fresh process measured, or why it could not."""
    import cloudpickle

    request, result = context.work / "request", context.work / "result.json"
    result.unlink(missing_ok=True)
    request.write_bytes(cloudpickle.dumps((teacher, list(requests), protocol)))
    threads = str(protocol.threads)
    # where this process finds modules, that one does: teachers may be the user's own
    path = os.pathsep.join(one for one in sys.path if one)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, "-m", "potstill.steps.evaluation.cost_process", str(request), str(result)]
    try:
        process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {seconds} s: raise seconds, or lower requests, waves or concurrent"
    context.logger.info("%s", process.stderr[-2000:])
    if process.returncode or not result.is_file():
        lines = [line for line in process.stderr.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"its process ended with {process.returncode} and said nothing"
    cost = Cost(**json.loads(result.read_text()))
    # rates of requests that failed at once would be figures of nothing
    return cost if cost.first_token_s else f"all of its {cost.failed} requests failed, or none ended"
