"""Inputs and outputs for instructions (Wang et al. 2023, "Self-Instruct", section 2.2, step 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.data import self_instruct
from potstill.engine.step import Estimate, Rows
from potstill.errors import PotstillError
from potstill.models.chat import Messages
from potstill.prompts import Template, rendered
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.instance_rules import Instance, contradicts, objection, read_instances
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import Answer, Question, Tries, asked, row_name, upper_bound
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.prompts.values import UnfitRow
    from potstill.teachers.protocol import TeacherSource


class WriteInstances(AskingStep):
    """Has the teacher write instances of each task: a row for each, with `input` and `output`.

    For a classification the output comes first, so that the labels are balanced; a teacher that starts with the input
    writes mostly inputs of one label. Otherwise the input comes first.

        >>> rows = LoadRows([{"instruction": "Is the animal wild or tame?", "is_classification": True}])
        >>> instances = WriteInstances(rows, teacher=teacher, most=3)
        >>> sorted(instances.columns({"rows": frozenset({"instruction", "is_classification"})}))
        ['id', 'input', 'instruction', 'is_classification', 'output']
    """

    version: ClassVar[int] = 3  # lists are read in all forms that teachers write

    rows: Rows
    """Tasks: `instruction`, `is_classification`."""
    _: KW_ONLY
    output_first: Template = "output_first.jinja"
    """For classifications; gets the row, `examples` and `most`. Answers have lines with Output: and Input:."""
    input_first: Template = "input_first.jinja"
    """For all other tasks, in the same way."""
    most: Annotated[int, Ge(1)] = 5
    """Instances a task at most (the paper's code)."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """Greedy as in the paper (appendix A)."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 350
    """Longest answer (the paper's code); of one that is cut, the last instance is dropped."""
    presence_penalty: Annotated[float, Interval(ge=-2, le=2)] = 0.0
    """Taken from the logits of tokens that the answer holds already; the paper's code has 1.5, for a base model."""
    stop: tuple[str, ...] = ("Task:", "Example 6")
    """Texts that end an answer (the paper's code): a model that goes on invents the next task."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer without any instance is asked for, each with another seed."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.05
    """Share of the rows that may be lost."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": ("instruction", "is_classification")}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        columns = added(self, rows, ("input", "output"), given=("examples", "most"))
        return None if columns is None else columns | {"id"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume two instances a task, and answers of full length."""
        bound = upper_bound(rows.get("rows"), 1, self.max_tokens)
        return Estimate(None if bound.rows is None else 2 * bound.rows, bound.calls, bound.tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the instances, task by task.

        Raises:
            PotstillError: no instance is left.
        """
        sampling = Sampling(
            self.temperature, self.top_p, self.max_tokens, self.stop, presence_penalty=self.presence_penalty
        )
        # a cut answer may hold whole instances
        tries = Tries(sampling, self.max_tries, self.seed, keep_cut=True)
        questions = (
            Question((row_name(row, number), row), row_name(row, number), (self._messages(row),))
            for number, row in enumerate(rows)
        )
        for (name, row), (answer,) in asked(teacher, questions, read_instances, tries, context, len(rows)):
            for place_, instance in enumerate(self._kept(name, row, answer, context)):
                context.ledger.keep()
                identifier = f"{name}#{place_ + 1}" if place_ else name
                yield {**row, "id": identifier, "input": instance.input, "output": instance.output}
        if len(rows) and not context.ledger.kept:
            raise PotstillError(
                f"no instance is left of {len(rows)} tasks: {context.ledger.counts()}; look at lost.jsonl"
            )

    def _messages(self, row: Mapping[str, Any]) -> Messages | UnfitRow:
        """Return the prompt of a task."""
        kind = "output_first" if row["is_classification"] else "input_first"
        shown = {"examples": self_instruct.examples(f"{kind}.jsonl"), "most": self.most}
        return rendered(getattr(self, kind), {**row, **shown})

    def _kept(
        self, name: str, row: Mapping[str, Any], answer: Answer[list[Instance]], context: Context
    ) -> Iterable[Instance]:
        """Return the instances of one task that pass the filters; the others go to the ledger with the reason."""
        instances = answer.value
        if answer.finish_reason == "length":
            context.ledger.lose(name, "filtered", "cut at max_tokens", f"max_tokens={self.max_tokens}")
            # the cut is in the last one; those before it are whole
            instances = instances[:-1]
        passed: dict[Instance, None] = {}
        for instance in instances:
            reason = objection(instance, needs_input=bool(row["is_classification"]))
            reason = reason or ("duplicate" if instance in passed else "")
            reason = reason or (f"more than {self.most} instances" if len(passed) == self.most else "")
            if reason:
                context.ledger.lose(name, "filtered", reason, f"{instance.input!r} -> {instance.output!r}")
            else:
                passed[instance] = None
        if contradicts(passed):
            for instance in passed:
                context.ledger.lose(name, "filtered", "same input, different outputs", repr(instance.input))
            return ()
        return passed
