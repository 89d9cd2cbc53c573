"""Measuring a model by one protocol for all: answers, speed, first-token latency, size and memory.

Protocol: the rows of all test sets become chats through `prompt`; decoding is greedy. First a warm-up (the engine
compiles and picks kernels), then single requests of one token for latency, on the rows that the warm-up left alone
where there are enough, then all rows at once for the answers and the tokens a second. Every backend difference would
mix with the model's, so compare only models that were measured through the same teacher on the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Output, Placement, Rows, Step, Trial
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import percentile
from potstill.metrics.kept_rows import present
from potstill.metrics.measures.by_name import AnyMeasure
from potstill.models.edge import Model
from potstill.models.footprint import peak_memory
from potstill.models.preload import ENGINE
from potstill.prompts import Template
from potstill.publishing.trackers import send
from potstill.steps.evaluation.answer_rows import measure_problems, measures_in, scored_sets, write_rows
from potstill.steps.evaluation.answer_scores import Question, examples, score
from potstill.steps.evaluation.asking_cost import (
    PROMPTS_UNKNOWN,
    ROWS_UNKNOWN,
    cost_of_requests,
    is_paid,
    possible_threads,
)
from potstill.steps.evaluation.evaluated_model import size_on_disk, teacher_for, weights_folder
from potstill.steps.evaluation.evaluation_sets import by_name, columns_of, exchange_in, missing_sets
from potstill.steps.evaluation.exports import export_problems
from potstill.steps.evaluation.measured_answers import MeasuredAnswers, Timing, keep, kept, measurement_key
from potstill.steps.evaluation.read_model import warn_if_read
from potstill.teachers.placement import apart
from potstill.teachers.protocol import Request, Response, Sampling, Session, Teacher
from potstill.teachers.response_codec import without_thoughts

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.engine.ledger import State
    from potstill.teachers.protocol import TeacherSource

WARM_UP_BATCH = 32
"""Rows of the warm-up batch: enough for the engine to meet its usual batch shapes."""


class Evaluate(Step):
    """Answer the test rows with a model and measure quality, speed and size.

    Each row is kept with its answer and its scores in `rows.parquet`, beside the figures. A measurement is kept in the
    store: scoring again, with other measures or right answers, asks no model again.

    A model folder is served by vLLM, what Export wrote by its own runtime; a GGUF without llama-cpp-python is read by
    transformers, which dequantizes it, so that its speed and memory stay unknown.

    >>> answer = '{"device":"light","room":"kitchen","action":"on","value":null}'
    >>> rows = LoadRows([{"instruction": "turn on the light in the kitchen", "output": answer}])
    >>> show(Evaluate(teacher, rows, prompt="home.jinja"))
    {'sets': {'test': {'n': 1, 'exact_match': 1.0, ...}}, 'tokens_per_s': ...}
    """

    model: Model
    """A step that makes a model, a local folder, a Hub id, or a teacher."""
    rows: Rows | Mapping[str, Rows]
    """Test rows with `instruction` and `output`; several sets by name, or one, which is then called `test`. With a
    template of conversations (`chat.jinja`), the right answer is `output`, or else the assistant's last turn."""
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat; the same as in labelling and training."""
    max_tokens: Annotated[int, Ge(1)] = 128
    """Longest answer, in tokens; one that is cut there hardly ever is right."""
    latency_requests: Annotated[int, Ge(1)] = 20
    """Single requests behind the first-token latency; 20 are the fewest of which a 95th percentile says anything."""
    warmup: Annotated[int, Ge(0)] = 3
    """Single requests before the measured ones; 3, because the first ones still pick kernels."""
    mistakes: Annotated[int, Ge(0)] = 5
    """Wrong answers a test set that are kept as examples."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of rows for which the teacher may fail; they count as wrong. 0, for a flaky server is no score."""
    measures: Sequence[AnyMeasure] = ()
    """What the answers are scored by besides exact match and valid JSON: measures of `potstill.metrics`, their names,
    or functions of the answer and the right one (and the row)."""
    cluster: str = ""
    """Column that says which rows come from one source, such as a passage or a seed task; rows of one cluster count as
    alike in all intervals. A row without a value there is alone."""
    gold: str = ""
    """Column with the right answers, text or a list of texts of which each is right; empty is `output`, as above."""

    # thoughts are no part of an answer (2); exports stop at every end token (3); intervals know of clusters (4)
    version: ClassVar[int] = 4
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"measures", "cluster", "gold"})
    makes: ClassVar[str] = "metrics"
    heavy: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE
    send_results = send

    def placement(self) -> Placement:
        """Return a process of its own, even for a teacher elsewhere: what else the run does must not slow it down."""
        return apart(self.model, super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set, no such measure, or an export that can't be measured."""
        yield from missing_sets(self.rows)
        yield from measure_problems(self.measures)
        if isinstance(self.model, (Step, Output, str, Path)):  # a teacher says itself what it serves
            yield from export_problems(self.model, "language models", type(self).__name__)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        return {"rows": (*columns_of(self.prompt, self.gold), *([self.cluster] if self.cluster else []))}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return one request a row, and those of warm-up and latency; prompts as long as answers."""
        count = rows.get("rows")
        whole = (count or 0) + min(count or 0, WARM_UP_BATCH)
        single = self.warmup + self.latency_requests
        tokens = 2 * whole * self.max_tokens + single * (self.max_tokens + 1)
        unknown = (ROWS_UNKNOWN if count is None else PROMPTS_UNKNOWN) if is_paid(self.model) else ""
        return Estimate(calls=single + whole, tokens=tokens, unknown=unknown)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the requests with their prompts' tokens and the teacher's price; none where all was measured before.

        Raises:
            BadInput: the rows can't be asked.
        """
        inputs, context = trial.inputs(), trial.context()
        teacher = teacher_for(inputs["model"])
        requests = [question.request for question in self.questions(by_name(inputs["rows"]))]
        single = [_short(request) for request in self._latency_order(requests)]
        cost = cost_of_requests([*requests[:WARM_UP_BATCH], *single, *requests], teacher)
        keys = (self._key(teacher, requests, threads) for threads in possible_threads())
        if any(kept(context.store_journal, key, len(requests)) for key in keys):
            return Estimate(cached=cost.calls)
        return cost

    def run(self, model: TeacherSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`."""
        questions = self.questions(by_name(rows))
        teacher = teacher_for(model)
        warn_if_read(teacher, context)
        measured = self._measured(teacher, model, questions, context)
        responses, timing = measured.responses, measured.timing
        _record(questions, responses, context)
        clustered = bool(self.cluster)
        scored = scored_sets(questions, responses, self.measures, clustered)
        write_rows(context.out, questions, responses, scored)
        sets = score(questions, responses, clustered)
        written = sum(response.completion_tokens for response in responses)
        return {
            "sets": {name: sets[name] | measures_in(scored.get(name)) for name in sets},
            "tokens_per_s": written / timing.seconds if timing.serves else None,
            "first_token_ms_p50": 1000 * percentile(timing.latencies, 0.5) if timing.serves else None,
            "first_token_ms_p95": 1000 * percentile(timing.latencies, 0.95) if timing.serves else None,
            **size_on_disk(weights_folder(model)),
            "peak_memory_bytes": timing.memory,
            "engine": self._engine(teacher, context)
            | {"completion_tokens": written, "seconds": timing.seconds}
            | ({"runtime": timing.runtime} if timing.runtime else {}),
            "examples": examples(questions, responses, self.mistakes),
        }

    def _measured(
        self, teacher: Teacher, model: TeacherSource, questions: Sequence[Question], context: Context
    ) -> MeasuredAnswers:
        """Return the answers and how fast they came, from the journal if it has them."""
        requests = [question.request for question in questions]
        key = self._key(teacher, requests, context.threads)
        earlier = kept(context.store_journal, key, len(requests))
        if earlier is not None:
            context.logger.info("measured before, on the same prompts: answers and speeds are those, no model is asked")
            return earlier
        measurement = self._measure(teacher, model, questions, context)
        keep(context.store_journal, key, measurement)
        return measurement

    def _key(self, teacher: Teacher, requests: Sequence[Request], threads: int) -> str:
        """Return the key of a measurement in the journal."""
        protocol = {"latency": self.latency_requests, "warmup": self.warmup, "threads": threads}
        return measurement_key(teacher, requests, protocol)

    def _measure(
        self, teacher: Teacher, model: TeacherSource, questions: Sequence[Question], context: Context
    ) -> MeasuredAnswers:
        """Ask the model."""
        with teacher.open(threads=context.threads) as session:
            latencies = self.latencies(session, questions)
            started = time.perf_counter()
            responses = _answers(session, [question.request for question in questions], context)
            seconds = time.perf_counter() - started
            folder = weights_folder(model)  # only now: the teacher may have just downloaded it
            # a teacher that only reads an export's file does not show the speed and memory of the runtime
            serves = getattr(teacher, "is_serving", True)
            memory = peak_memory() if folder is not None and serves else None
            runtime = getattr(session, "title", "")
        return MeasuredAnswers(responses, Timing(latencies, seconds, memory, runtime, serves))

    def _engine(self, teacher: Teacher, context: Context) -> dict[str, Any]:
        """Return how the model was run."""
        return {
            "teacher": type(teacher).__name__,
            "label": teacher.label,
            "threads": context.threads,
            "temperature": 0.0,
            "max_tokens": self.max_tokens,
            "latency_requests": self.latency_requests,
            "warmup": self.warmup,
        }

    def questions(self, sets: Mapping[str, Dataset]) -> list[Question]:
        """Return the rows of all test sets as greedy requests.

        Raises:
            BadInput: a set without rows, or a row without a question or its answer; all of them together.
        """
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens)
        collected: list[Question] = []
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        for name, rows in sets.items():
            for number, row in enumerate(cast("Iterable[dict[str, Any]]", rows)):
                row_id = str(row.get("id", number))
                exchange = exchange_in(self.prompt, row, self.gold)
                if isinstance(exchange, str):
                    problems.append(f"row {row_id!r} of the test set {name!r}: {exchange}")
                    continue
                asked, chat, right = exchange
                source = present(row[self.cluster]) if self.cluster else None
                cluster = None if source is None else str(source)
                collected.append(
                    Question(name, row_id, asked, right[0], Request(chat, sampling), row, cluster, right[1:])
                )
        if problems:
            raise BadInput(*problems)
        return collected

    def latencies(self, session: Session, questions: Sequence[Question]) -> list[float]:
        """Warm the model up, then return the seconds to the first token of single requests.

        The rows come from the far end of the list, so that with enough rows none has its prompt cached by the warm-up.
        """
        # the first requests pay for compilation and caches, and are not measured
        batch = [question.request for question in questions[:WARM_UP_BATCH]]
        for _ in session.generate(batch):
            pass
        seconds = []
        for request in self._latency_order([question.request for question in questions]):
            started = time.perf_counter()
            for _ in session.generate([_short(request)]):
                pass
            seconds.append(time.perf_counter() - started)
        return seconds[self.warmup :]

    def _latency_order(self, requests: Sequence[Request]) -> Iterator[Request]:
        """Yield the single requests of warm-up and latency, from the last one on."""
        for number in range(self.warmup + self.latency_requests):
            yield requests[-1 - number % len(requests)]


def _short(request: Request) -> Request:
    """Return a request for one token: the time to it is that of the prompt, whatever the answer's length."""
    return Request(request.messages, Sampling(temperature=0.0, max_tokens=1))


def _answers(session: Session, requests: Sequence[Request], context: Context) -> list[Response]:
    """Return the responses in the order of `requests`, and report progress."""
    answers: dict[int, Response] = {}
    tokens = 0
    for index, response in session.generate(requests):
        answers[index] = without_thoughts(response)
        tokens += response.completion_tokens
        context.progress(len(answers), len(requests), tokens=tokens)
    return [answers[index] for index in range(len(requests))]


def _record(questions: Sequence[Question], responses: Sequence[Response], context: Context) -> None:
    """Note in the ledger which requests failed."""
    for question, response in zip(questions, responses, strict=True):
        if response.finish_reason == "error":
            state: State = "retryable" if response.retryable else "permanent"
            context.ledger.lose(f"{question.set}/{question.row}", state, "the teacher failed", response.text)
        else:
            context.ledger.keep()
