"""Evol-Instruct: instructions made harder and more varied in rounds (Xu et al. 2023, "WizardLM", section 3)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Rows
from potstill.errors import PotstillError, Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.classify_tasks import yes_or_no
from potstill.steps.instructions.evol_rules import OPERATIONS, answer_fault, instruction_fault, read_evolved
from potstill.teachers.cache.parse_retry import Answer, Question, Tries, as_text, asked, row_name
from potstill.teachers.cache.response_cache import Asker, as_teacher
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

TOGETHER = 1024
"""Instructions whose rounds run side by side; bounds the memory."""


@dataclass
class _Line:
    """An instruction and its latest evolution."""

    name: str
    text: str


@dataclass(frozen=True)
class _Step:
    """One evolution of a line."""

    line: _Line
    operation: str
    text: str


class EvolInstruct(AskingStep):
    """Evolves each instruction `rounds` times, each time in one of six ways, and answers what came out.

    A row for each evolution that is not eliminated: because it asks for the same as before, because the teacher
    declines or says nothing, or because it repeats words of the prompt. After an elimination the next round starts
    from the same instruction again.

        >>> rows = LoadRows([{"id": "a", "instruction": "Name a river."}])
        >>> evolved = EvolInstruct(rows, teacher=teacher, rounds=2, operations=("deepen",))
        >>> evolved.estimate({"rows": 100}).calls
        600
    """

    rows: Rows
    """Instructions (column `instruction`)."""
    _: KW_ONLY
    rounds: Annotated[int, Ge(1)] = 4
    """Evolutions in a row (section 4.1)."""
    operations: tuple[str, ...] = tuple(OPERATIONS)
    """Which are drawn from, all with the same probability (section 3.2)."""
    words: Annotated[int, Ge(1)] = 20
    """Words that an operation in depth may add (appendix A)."""
    prompt: Template = "evolve.jinja"
    """Gets the row with the current `instruction`, `operation`, its `method` in words, and `words`."""
    compare: Template = "evolve_same.jinja"
    """Gets the instructions `before` and `after`; Yes eliminates (section 3.3, rule 1)."""
    answer: Template = "answer.jinja"
    """Has an evolved instruction answered."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """Of evolutions and answers (section 4.1); comparing is greedy."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.9
    """Nucleus mass (section 4.1)."""
    max_tokens: Annotated[int, Ge(1)] = 2048
    """Longest instruction, and longest answer (section 4.1)."""
    max_tries: Annotated[int, Ge(1)] = 2
    """Times an answer that is cut or can't be read is asked for."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the operations."""
        yield from super().check()
        unknown = [name for name in self.operations if name not in OPERATIONS]
        if unknown or not self.operations:
            yield Problem("", "operations", f"must be some of {', '.join(OPERATIONS)}, got {unknown or 'none'}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is evolved."""
        return {"rows": ("instruction",)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", "instruction", "output", "finish_reason", "parent", "round", "operation"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count three calls a round, two of them long."""
        count = rows.get("rows")
        if count is None:
            return Estimate()
        evolutions = count * self.rounds
        return Estimate(evolutions, 3 * evolutions, 4 * evolutions * self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield what survives.

        Raises:
            PotstillError: nothing does.
        """
        source = enumerate(rows)
        with Asker(as_teacher(teacher), context) as asker:
            while batch := list(islice(source, TOGETHER)):
                named = [(row_name(row, number), row["instruction"]) for number, row in batch]
                for name in (name for name, text in named if not isinstance(text, str)):
                    context.ledger.lose(name, "permanent", "no instruction")
                lines = [_Line(name, text) for name, text in named if isinstance(text, str)]
                for number in range(1, self.rounds + 1):
                    yield from self._round(lines, number, asker, context)
        if len(rows) and not context.ledger.kept:
            raise PotstillError(f"no evolution of {len(rows)} instructions is left: {context.ledger.counts()}")

    def _round(self, lines: list[_Line], number: int, asker: Asker, context: Context) -> Iterator[dict[str, Any]]:
        """Evolve all lines once; yield what survives."""
        sampled = Tries(Sampling(self.temperature, self.top_p, self.max_tokens), self.max_tries, self.seed)
        short = Tries(Sampling(max_tokens=8), self.max_tries, self.seed, keep_cut=True)
        evolved = asked(asker, self._evolutions(lines, number), read_evolved, sampled, context)
        steps = [_Step(line, operation, answer.value) for (line, operation), (answer,) in evolved]
        steps = [step for step in steps if self._stands(step, number, context)]
        same = asked(asker, self._comparisons(steps, number), yes_or_no, short, context)
        changed = [step for step, (answer,) in same if not _eliminated(step, number, answer.value, context)]
        answered = asked(asker, self._questions(changed, number), as_text, sampled, context)
        for step, (answer,) in answered:
            fault = answer_fault(answer.text)
            if fault:
                context.ledger.lose(f"{step.line.name} round {number}", "filtered", fault, answer.text)
                continue
            step.line.text = step.text
            context.ledger.keep()
            yield _row(step, number, answer)

    def _evolutions(self, lines: list[_Line], number: int) -> Iterator[Question[tuple[_Line, str]]]:
        """Yield the question that evolves each line; each round is sampled with another seed."""
        for line in lines:
            operation = random.Random(f"{self.seed}/{line.name}/{number}").choice(self.operations)
            variables = {"operation": operation, "method": OPERATIONS[operation], "words": self.words}
            chat = rendered(self.prompt, {"instruction": line.text, **variables})
            # the round goes into the seed: after an elimination the prompt may be the same as before
            yield Question((line, operation), f"{line.name} round {number}", (chat,), number - 1)

    def _comparisons(self, steps: list[_Step], number: int) -> Iterator[Question[_Step]]:
        """Yield the question whether each step changed anything."""
        for step in steps:
            chat = rendered(self.compare, {"before": step.line.text, "after": step.text})
            yield Question(step, f"{step.line.name} round {number}", (chat,))

    def _questions(self, steps: list[_Step], number: int) -> Iterator[Question[_Step]]:
        """Yield the evolved instructions as questions."""
        for step in steps:
            chat = rendered(self.answer, {"instruction": step.text})
            yield Question(step, f"{step.line.name} round {number}", (chat,))

    def _stands(self, step: _Step, number: int, context: Context) -> bool:
        """Return whether an evolved instruction passes the rules that need no teacher."""
        fault = instruction_fault(step.line.text, step.text)
        if fault:
            context.ledger.lose(f"{step.line.name} round {number}", "filtered", fault, step.text)
        return not fault


def _row(step: _Step, number: int, answer: Answer[str]) -> dict[str, Any]:
    """Return the row of an evolution that survives round `number`, with its answer."""
    return {
        "id": f"{step.line.name}-evolved-{number}",
        "instruction": step.text,
        "output": answer.text,
        "finish_reason": answer.finish_reason,
        "parent": step.line.name,
        "round": number,
        "operation": step.operation,
    }


def _eliminated(step: _Step, number: int, same: bool, context: Context) -> bool:
    """Record a step that asks for the same as before."""
    if same:
        context.ledger.lose(f"{step.line.name} round {number}", "filtered", "asks for the same", step.text)
    return same
