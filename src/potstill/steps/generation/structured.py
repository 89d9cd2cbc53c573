"""Structured output: JSON of a schema, text of a regular expression, or one of several choices, as columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.engine.json_text import json_in
from potstill.engine.step import Estimate, Rows
from potstill.errors import Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_parsers import fields, groups, one_of, schema_fields
from potstill.steps.generation.base import AskingStep
from potstill.steps.generation.constraints import held
from potstill.steps.rows.added import added, answered, with_answer
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, Tries, asked, row_name, upper_bound
from potstill.teachers.protocol import Sampling, Structured
from potstill.text.patterns import pattern, pattern_problem

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class StructuredGeneration(AskingStep):
    """Has the teacher answer in a form, checks the answer against it, and makes its parts columns.

    The properties of a JSON object, or the named groups of a regular expression, become columns; any other answer
    becomes the column `value`. Decoding is constrained to the form where the teacher can; the prompt states it too,
    since a model that has not seen it writes worse under the constraint.

    >>> rows = LoadRows([{"id": "a", "instruction": "Is the sea blue?"}])
    >>> answers = StructuredGeneration(rows, teacher=teacher, regex="(?P<number>[0-9]) stars?", max_tokens=8)
    >>> show(Select(answers, ["id", "finish_reason"]))
    {'id': 'a', 'finish_reason': 'stop'}
    """

    version: ClassVar[int] = 3  # an answer that speaks of itself is no choice

    rows: Rows
    """What is asked."""
    _: KW_ONLY
    json_schema: str = ""
    """A JSON schema as JSON text (of a Pydantic model: `json.dumps(Model.model_json_schema())`)."""
    regex: str = ""
    """A regular expression that the whole answer matches; what the engine and Python's `re` both understand."""
    choice: tuple[str, ...] = ()
    """Texts of which the answer is one."""
    prompt: Template = "structured.jinja"
    """Gets `form` (the form in words) and the row's columns."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answer's text."""
    structured: bool = True
    """Whether decoding is constrained to the form where the teacher can; else answers without it are asked again."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest answer; JSON that is cut there is asked for again."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer without the form is asked for; after a greedy one, at temperature 0.7."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the form."""
        yield from super().check()
        yield from prompt_problems(self.prompt)
        forms = [name for name in ("json_schema", "regex", "choice") if getattr(self, name)]
        if len(forms) != 1:
            yield Problem("", "json_schema", f"give one of json_schema, regex and choice, got {forms or 'none'}")
            return
        problem = schema_problem(self.json_schema) if self.json_schema else pattern_problem(self.regex)
        if problem:
            yield Problem("", forms[0], problem)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": prompt_columns(self.prompt, ("form",))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows, the text, and the parts of the form.

        Raises:
            BadInput: the rows have one of these already, or a column that the form would hide from the template.
        """
        rows = inputs.get("rows")
        return answered(rows, added(self, rows, (self.output, *self._parts()), given=("form",)))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume an answer of full length to each row: an upper bound."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with the parts of their answers, in order."""
        # engines read neither Python's named groups nor their names; the parser below still uses them
        form = Structured(self.json_schema, unnamed(self.regex), self.choice)
        constraint = held(form, teacher, self.structured)
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, structured=constraint)
        tries = Tries(sampling, self.max_tries, self.seed)
        for row, (answer,) in asked(teacher, self._questions(rows), self._parser(), tries, context, len(rows)):
            context.ledger.keep()
            yield {**with_answer(row, self.output, answer.text, answer.finish_reason), **answer.value}

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        form = in_words(self.json_schema, self.regex, self.choice)
        for number, row in enumerate(rows):
            yield Question(row, row_name(row, number), (rendered(self.prompt, {**row, "form": form}),))

    def _parser(self) -> Callable[[str], dict[str, Any]]:
        """Return what reads the answers."""
        if self.json_schema:
            return fields(json.loads(self.json_schema))
        if self.regex:
            return groups(self.regex)
        find = one_of(self.choice)
        return lambda text: {"value": find(text)}

    def _parts(self) -> tuple[str, ...]:
        """Return the columns that the answers give."""
        if self.json_schema:
            return schema_fields(json.loads(self.json_schema))
        return pattern(self.regex).names or ("value",)


def in_words(json_schema: str, regex: str, choice: tuple[str, ...]) -> str:
    """Return the form in words, for the prompt."""
    if json_schema:
        return f"Answer with JSON that fits this schema, and with nothing else: {json_schema}"
    if regex:
        return f"Answer with text that matches this regular expression, and with nothing else: {regex}"
    return f"Answer with one of these, and with nothing else: {', '.join(choice)}"


def schema_problem(text: str) -> str:
    """Return why `text` is no JSON schema whose answers can be columns, or an empty string."""
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    try:
        schema = json_in(text)
    except ValueError as error:
        return f"is no JSON: {error}; got {text!r:.60}"
    if not isinstance(schema, dict):
        return f"a JSON schema is an object, got {text!r:.60}"
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return f"is no JSON schema: {error.message}"
    return ""


def unnamed(pattern: str) -> str:
    r"""Return a regular expression without the names of its groups, which are Python's own and engines don't read.

    >>> unnamed(r"(?P<hours>\d+) h")
    '(\\d+) h'
    """
    return re.sub(r"(?<!\\)\(\?P<\w+>", "(", pattern)
