"""Prompting with retrieval: nearest examples (Liu et al. 2022) or passages (RAG, Lewis et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, MinLen

from potstill.engine.step import Estimate, Placement, Rows
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_column import columns_with_answer, rows_with_answers
from potstill.steps.generation.base import GenerationStep
from potstill.steps.generation.in_context import GIVEN, bound_with_shown, enough, few_shot_needs
from potstill.steps.retrieval.neighbours import neighbours
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, row_name

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.teachers.protocol import TeacherSource


class FewShotPromptWithRetrieval(GenerationStep):
    """Asks each row after the `k` examples that are nearest to it.

    Examples like the question help more than any others (Liu et al. 2022, "What Makes Good In-Context Examples for
    GPT-3?"); the nearest stands last, next to the question. A base model goes on after its answer, with `Question:`
    where the template is the built-in one: name that as `stop`.

    >>> shown = LoadRows([{"instruction": "2 + 2", "output": "4"}, {"instruction": "A cat?", "output": "Miaow."}])
    >>> rows = LoadRows([{"id": "a", "instruction": "3 + 4"}])
    >>> answers = FewShotPromptWithRetrieval(
    ...     rows, shown, teacher=teacher, encoder=encoder, k=1, max_tokens=4, keep_cut=True
    ... )
    >>> show(Select(answers, ["id", "instruction"]))
    {'id': 'a', 'instruction': '3 + 4'}
    """

    rows: Rows
    """What is asked."""
    examples: Rows
    """Rows that are answered already; not those that are asked, or each finds itself."""
    _: KW_ONLY
    k: Annotated[int, Ge(1)] = 8
    """Examples shown."""
    task: str = ""
    """What is to be done, said before the examples."""
    prompt: Template = "few_shot.jinja"
    """Gets `examples` (rows), `task`, and the row's columns."""
    encoder: Model
    """A sentence-transformers folder or Hub id."""
    column: Annotated[str, MinLen(1)] = "instruction"
    """Column that is compared, of rows and examples."""

    def placement(self) -> Placement:
        """Return a process of the step's own: the encoder is loaded there, wherever the teacher is."""
        return Placement(heavy=True, preload=ENCODER)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("examples",))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is compared, and what the template uses."""
        return few_shot_needs(self.prompt, (self.column,))

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already, or one that the step's own hides from the template.
        """
        return columns_with_answer(self, inputs.get("rows"), given=GIVEN)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length, and the examples as long as answers."""
        return bound_with_shown(rows.get("rows"), self.k, self.max_tokens)

    def run(
        self, rows: Dataset, examples: Dataset, teacher: TeacherSource, encoder: ModelSource, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers, in order.

        Raises:
            BadInput: there are fewer examples than are to be shown.
        """
        enough(examples, self.k)
        nearest = neighbours(rows, self.column, examples, self.column, self.k, encoder, context)

        def given(numbers: list[int]) -> dict[str, Any]:
            # the nearest last: a model follows most what stands next to the question
            return {"examples": [examples[number] for number in reversed(numbers)], "task": self.task}

        questions = with_neighbours(rows, nearest, self.prompt, given)
        yield from rows_with_answers(self, teacher, questions, len(rows), context)


class RAGPrompt(GenerationStep):
    """Asks each row after the `k` passages nearest to it, whose ids stay beside the answer as `passage_ids`.

    Retrieval-augmented generation (Lewis et al. 2020, section 2), with a fixed encoder and all passages in one prompt.

    >>> notes = LoadRows([{"id": "n1", "text": "The oven is in the kitchen."}, {"id": "n2", "text": "Cats purr."}])
    >>> rows = LoadRows([{"instruction": "Where do I bake?"}])
    >>> answers = RAGPrompt(rows, notes, teacher=teacher, encoder=encoder, k=1, max_tokens=4, keep_cut=True)
    >>> show(Select(answers, ["instruction", "passage_ids"]))
    {'instruction': 'Where do I bake?', 'passage_ids': ['n1']}
    """

    rows: Rows
    """What is asked."""
    documents: Rows
    """Where the passages come from."""
    _: KW_ONLY
    encoder: Model
    """A sentence-transformers folder or Hub id."""
    k: Annotated[int, Ge(1)] = 5
    """Passages shown, nearest first; fewer where there are fewer."""
    query_column: Annotated[str, MinLen(1)] = "instruction"
    """Column of the rows that is looked for."""
    document_column: Annotated[str, MinLen(1)] = "text"
    """Column of the passages."""
    prompt: Template = "rag.jinja"
    """Gets `passages` (texts) and the row's columns."""

    def placement(self) -> Placement:
        """Return a process of the step's own: the encoder is loaded there, wherever the teacher is."""
        return Placement(heavy=True, preload=ENCODER)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("passages",))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared, and what the template uses."""
        return {
            "rows": (self.query_column, *prompt_columns(self.prompt, ("passages",))),
            "documents": (self.document_column,),
        }

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already, or one that the step's own hides from the template.
        """
        return columns_with_answer(self, inputs.get("rows"), ("passage_ids",), given=("passages",))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length, and the passages as long as answers."""
        return bound_with_shown(rows.get("rows"), self.k, self.max_tokens)

    def run(
        self, rows: Dataset, documents: Dataset, teacher: TeacherSource, encoder: ModelSource, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers and the ids of their passages, in order.

        Raises:
            BadInput: there are no passages.
        """
        query, passage = self.query_column, self.document_column
        nearest = neighbours(rows, query, documents, passage, self.k, encoder, context)
        names = documents["id"] if "id" in documents.column_names else range(len(documents))

        def given(numbers: list[int]) -> dict[str, Any]:
            ids = [str(names[number]) for number in numbers]
            return {"passages": documents[numbers][passage], "passage_ids": ids}

        questions = with_neighbours(rows, nearest, self.prompt, given, keep=("passage_ids",))
        yield from rows_with_answers(self, teacher, questions, len(rows), context)


def with_neighbours(
    rows: Dataset,
    nearest: NDArray[Any],
    template: str,
    given: Callable[[list[int]], dict[str, Any]],
    keep: tuple[str, ...] = (),
) -> Iterator[Question[dict[str, Any]]]:
    """Yield each row's prompt with what is `given` for its `nearest` [N, k]; what is to `keep` joins the row."""
    for number, row in enumerate(rows):
        variables = given([int(other) for other in nearest[number]])
        tag = {**row, **{name: variables[name] for name in keep}}
        yield Question(tag, row_name(row, number), (rendered(template, {**row, **variables}),))
