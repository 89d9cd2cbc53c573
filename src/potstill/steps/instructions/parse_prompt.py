"""Parse a task description into an instruction and examples (Prompt2Model's parser, Viswanathan et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from potstill.engine.step import Estimate, Placement, Step, Trial
from potstill.errors import PotstillError, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.prompts import Template, render
from potstill.teachers.cache.forecast import still_to_ask
from potstill.teachers.cache.parse_retry import Question, Tries, asked
from potstill.teachers.cache.response_cache import teacher_problems
from potstill.teachers.placement import placed
from potstill.teachers.protocol import Sampling
from potstill.text.json_values import json_values

if TYPE_CHECKING:
    import pyarrow as pa

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class ParsePrompt(Step):
    """Parts the description of a task into `instruction` and `examples` (a list of `input` and `output`): one row.

    >>> task = ParsePrompt("Name the capital. Peru -> Lima. Kenya -> Nairobi.", teacher=teacher)
    >>> sorted(task.columns({}))
    ['examples', 'id', 'instruction']
    """

    text: str
    """The description, as somebody would write it to a language model."""
    _: KW_ONLY
    teacher: Model
    """Who is asked."""
    prompt: Template = "parse_prompt.jinja"
    """Gets `prompt`; the answer is a JSON object with `instruction` and `examples`."""
    max_tokens: Annotated[int, Ge(1)] = 2048
    """Longest answer; it repeats the description."""
    max_tries: Annotated[int, Ge(1)] = 5
    """Times an answer that is no such object is asked for, each with another seed; the first one is greedy."""
    seed: int = 0
    """Of second tries."""

    version: ClassVar[int] = 2  # thoughts are no part of an answer, which is read to its end
    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    def placement(self) -> Placement:
        """Return where the teacher runs."""
        return placed(self.teacher, super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the text."""
        yield from teacher_problems(self.teacher)
        if not self.text.strip():
            yield Problem("", "text", "is empty: describe the task")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", "instruction", "examples"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count one call."""
        return Estimate(rows=1, calls=1, tokens=2 * self.max_tokens)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the request if the journal lacks it, with its prompt's tokens and the teacher's price."""
        return still_to_ask(self, rows, trial)

    def run(self, teacher: TeacherSource, context: Context) -> pa.Table:
        """Return the one row.

        Raises:
            PotstillError: no answer parses.
        """
        import pyarrow as pa

        chat = render(self.prompt, {"prompt": self.text})
        tries = Tries(Sampling(max_tokens=self.max_tokens), self.max_tries, self.seed)
        for _, (answer,) in asked(teacher, [Question(None, "prompt", (chat,))], read_task, tries, context, 1):
            context.ledger.keep()
            instruction, examples = answer.value
            pair = pa.struct([("input", pa.string()), ("output", pa.string())])
            schema = pa.schema([("id", pa.string()), ("instruction", pa.string()), ("examples", pa.list_(pair))])
            return pa.Table.from_pylist([{"id": "task", "instruction": instruction, "examples": examples}], schema)
        raise PotstillError(
            f"the description was not parsed in {self.max_tries} tries: {context.ledger.counts()['failed']}; "
            "lost.jsonl has the answers. Raise max_tries, or give the instruction and the examples as rows"
        )


def read_task(text: str) -> tuple[str, list[dict[str, str]]]:
    """Return the instruction and the examples in an answer: the last JSON object in it that has them.

    >>> read_task('Here: {"instruction": "Add.", "examples": [{"input": "1 + 1", "output": 2}]}')
    ('Add.', [{'input': '1 + 1', 'output': '2'}])

    Raises:
        ValueError: there is none of this form.
    """
    values = list(json_values(text))
    faults = [_task_fault(value) for value in values]
    if "" not in faults:
        raise ValueError(faults[0])
    task = values[faults.index("")]
    examples = [{name: _as_text(pair.get(name)) for name in ("input", "output")} for pair in task.get("examples", [])]
    return task["instruction"].strip(), examples


def _task_fault(value: object) -> str:
    """Return why a JSON value is no task, or an empty string."""
    if not isinstance(value, dict):
        return "no JSON object"
    instruction, examples = value.get("instruction"), value.get("examples", [])
    if not isinstance(instruction, str) or not instruction.strip():
        return "no instruction in the object"
    if not isinstance(examples, list) or not all(isinstance(pair, dict) and pair.get("output") for pair in examples):
        return f"examples must be a list of objects with input and output, got {examples!r:.80}"
    return ""


def _as_text(value: object) -> str:
    """Return a value of an object as a text: nothing for a null, JSON for a list or an object."""
    from potstill.prompts.values import is_null, written

    return "" if is_null(value) else written(value)
