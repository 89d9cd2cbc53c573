"""lm-evaluation-harness on a model that Potstill serves: its tasks, its scores, our teachers and their journal.

L. Gao et al., "The language model evaluation harness" (Zenodo 2024, 10.5281/zenodo.12608602).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.encoding import File
from potstill.engine.step import Estimate, Output, Rows, Step, Trial
from potstill.errors import BadInput, Problem
from potstill.metrics.kept_rows import write
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.publishing.trackers import send
from potstill.steps.evaluation.evaluated_model import teacher_for, weights_folder
from potstill.steps.evaluation.exports import export_problems
from potstill.steps.evaluation.harness.tasks import WRITES, Tasks, missing_harness, quiet, scoring_refused

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.steps.evaluation.harness.scores import Measured
    from potstill.teachers.protocol import Teacher, TeacherSource

TEXTS = ("id", "set", "input", "gold", "answer")
"""Columns of the kept rows that hold text."""


class LMEval(Step):
    """Measure a model on tasks of lm-evaluation-harness, as the harness does, through a teacher.

    Tasks are those of a folder of YAML files, dicts of the same fields, which may read `rows` of other steps, or by
    name those that the harness brings, whose data comes from the Hub. All are asked of one engine, and each answer is
    kept in the store's journal, so that one more task asks only for its own. Every row is kept in `rows.parquet`.

    The chat template of the model is applied unless `chat_template` is False, and the result says so: figures with and
    without it can't be compared, and an instruct model without it scores next to nothing.

    Logarithms are taken in float32 whatever the model's type. The harness's own backend takes them in that type: for a
    model in bfloat16 it gives what stands here only with `softmax_dtype="float32"`, and is off by a percent without.

    A folder of tasks is code that is run: YAML files name Python functions beside them. All of its files are in the
    key, and files outside of it are refused. Needs the extra `lmeval`.

    >>> rows = LoadRows([{"text": "turn on the light", "what": "light"}] * 4)
    >>> task = {"task": "things", "output_type": "multiple_choice", "doc_to_text": "{{text}}. What is meant?"}
    >>> task |= {"doc_to_choice": ["light", "heating"], "doc_to_target": "{{['light', 'heating'].index(what)}}"}
    >>> LMEval(teacher, [task], rows={"things": rows})
    <LMEval unnamed, a step that has not run>
    """

    model: Model
    """A step that makes a model, a local folder, a Hub id, or a teacher."""
    tasks: Sequence[str | Mapping[str, Any]]
    """Names of tasks, groups or tags, or the fields of a task as the harness's YAML files have them."""
    _: KW_ONLY
    folder: File | None = None
    """Folder with YAML files of tasks, and the data and functions that they name."""
    rows: Mapping[str, Rows] | None = None
    """Rows of other steps by the name of the task that reads them, as its split `test`."""
    system: str = ""
    """System message before each prompt; a teacher's own comes first."""
    chat_template: bool = True
    """Whether prompts are chats by the model's template; without, they are plain text."""
    few_shot: Annotated[int, Ge(0)] | None = None
    """Examples in a prompt; None is what each task says. One that says 0 stays at 0."""
    limit: Annotated[int, Ge(1)] | None = None
    """Rows of each task, its first ones; None is all."""
    sources: Tasks = field(init=False)
    """What the key covers besides the parameters: the harness's version, where its own tasks are asked for, and the
    commits of datasets from the Hub; made from `tasks`, `folder` and `rows`."""

    makes: ClassVar[str] = "metrics"
    send_results = send
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    def __post_init__(self) -> None:
        """Join what says where the tasks come from."""
        folder = "" if self.folder is None else str(self.folder)
        named = (self.tasks,) if isinstance(self.tasks, str) else tuple(self.tasks)
        # frozen dataclass
        object.__setattr__(self, "sources", Tasks(named, folder, tuple(self.rows or ())))

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the tasks, or the model."""
        missing = missing_harness()
        if missing is not None:
            yield Problem("", "tasks", str(missing))
        yield from self.sources.problems(getattr(self.model, "gives_scores", True))
        if isinstance(self.model, (Step, Output, str)):  # a teacher says itself what it serves
            yield from export_problems(self.model, "language models", type(self).__name__)
        elif hasattr(self.model, "check"):
            yield from self.model.check()

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return one request a row at least, and its longest answer."""
        calls = rows.get("rows") or 0
        unknown = "" if self.rows and rows.get("rows") else "which is unknown until it runs"
        return Estimate(calls=max(calls, 1), tokens=calls * self.sources.longest_answer, unknown=unknown)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the requests that the journal lacks, with their tokens and the teacher's price; the Hub is not asked.

        Raises:
            BadInput: a task can't be built.
        """
        if missing_harness() is not None or self.sources.of_harness or self.sources.commits:
            unknown = "which is unknown until it runs: its tasks read datasets of the Hub"
            return replace(self.estimate(rows), unknown=unknown)
        from potstill.steps.evaluation.harness.counting import counted

        inputs = trial.inputs()
        teacher = teacher_for(inputs["model"])
        if getattr(teacher, "gives_scores", True) and weights_folder(teacher) is None:
            unknown = "which is unknown until it runs: its tokenizer is not on this machine"
            return replace(self.estimate(rows), unknown=unknown)
        with quiet():
            built = self.sources.built(inputs.get("rows") or {}, self.few_shot)
            count = counted(teacher, built, trial.context(), self._options)
        price = getattr(teacher, "price", None)
        dollars = price.of(count.prompt_tokens, count.completion_tokens) if price else 0.0
        tokens = count.prompt_tokens + count.completion_tokens
        return Estimate(calls=count.asked, tokens=tokens, cached=count.cached, dollars=dollars)

    @property
    def _options(self) -> dict[str, Any]:
        """Options of the harness that prompts depend on."""
        return {
            "limit": self.limit,
            "system_instruction": self.system or None,
            "apply_chat_template": self.chat_template,
            "fewshot_as_multiturn": self.chat_template,
        }

    def run(self, model: TeacherSource, context: Context, rows: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
        """Measure `model`.

        Raises:
            MissingExtra: the harness is not installed.
            BadInput: a task can't be built, or asks for what the teacher doesn't offer.
            PotstillError: the teacher failed for some requests.
        """
        missing = missing_harness()
        if missing is not None:
            raise missing
        from potstill.steps.evaluation.harness.scores import Measured

        teacher = teacher_for(model)
        built = self.sources.built(rows or {}, self.few_shot)
        _refuse(teacher, built["tasks"])
        results, shortened = self._results(teacher, built, context)
        measured = Measured(results)
        _write(measured, context)
        if shortened:
            text = (
                f"{shortened} texts were longer than the model reads: they were cut off in front, as the harness does"
            )
            context.logger.warning(text)
        groups = measured.groups()
        return {
            "sets": measured.sets(),
            **({"groups": groups} if groups else {}),
            "tasks": measured.tasks(),
            "engine": {
                "teacher": type(teacher).__name__,
                "label": teacher.label,
                "harness": importlib.metadata.version("lm_eval"),
                "chat_template": self.chat_template,
                "system": self.system,
                "shortened": shortened,
            },
        }

    def _results(self, teacher: Teacher, built: dict[str, Any], context: Context) -> tuple[dict[str, Any], int]:
        """Return what the harness measured, and how many texts were cut off."""
        from lm_eval.evaluator import evaluate

        from potstill.steps.evaluation.harness.answering import TeacherModel, reader_of
        from potstill.teachers.cache.response_cache import Asker

        with quiet(), Asker(teacher, context) as asker:
            greedy = any(task.OUTPUT_TYPE == "loglikelihood" for task in built["tasks"].values())
            answering = TeacherModel(teacher, asker, reader_of(teacher), asks_greedy=greedy)
            results: dict[str, Any] = evaluate(
                answering,
                built,
                bootstrap_iters=0,  # intervals are computed here, from the rows
                log_samples=True,
                **self._options,
            )
        return results, answering.shortened


def _refuse(teacher: Teacher, tasks: Mapping[str, Any]) -> None:
    """Refuse tasks that ask for scores of a given text, of a teacher that has none.

    Raises:
        BadInput: there are such tasks.
    """
    if getattr(teacher, "gives_scores", True):
        return
    scoring = [name for name, task in tasks.items() if task.OUTPUT_TYPE != WRITES]
    if scoring:
        raise BadInput(Problem("", "tasks", scoring_refused(scoring)))


def _write(measured: Measured, context: Context) -> None:
    """Write all rows."""
    rows = list(measured.rows())
    context.ledger.keep(len(rows))
    scores = dict.fromkeys(name for row in rows for name in row if name.startswith("score_"))
    columns = {**dict.fromkeys(TEXTS, "text"), "correct": "flag", **dict.fromkeys(scores, "number")}
    write(context.out, columns, rows)
