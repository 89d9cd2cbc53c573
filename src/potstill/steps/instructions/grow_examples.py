"""Generate examples of one task from a few of them (Viswanathan et al. 2023, "Prompt2Model", dataset generator)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, PotstillError, Problem
from potstill.prompts import Template, render
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.instance_rules import Instance, objection, read_instances
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, request_seed
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.text.words import chunks_of

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

DETAILS = 3
"""Forms of the prompt, from brief to long, taken in turn."""


class GrowFromExamples(AskingStep):
    """Grows a dataset of one task: each prompt shows some of the examples made so far, ever more boldly sampled.

    Several rows may have the same input: let `Consensus` choose among their outputs.

        >>> pair = {"input": "turn on the lamp", "output": "lamp on"}
        >>> task = LoadRows([{"instruction": "Shorten the command.", "examples": [pair]}])
        >>> grown = GrowFromExamples(task, teacher=teacher, target=100)
        >>> [grown.temperature_at(made) for made in (0, 50, 100)]
        [0.5, 1.1, 1.7]
    """

    version: ClassVar[int] = 3  # lists are read in all forms that teachers write

    task: Rows
    """One row: `instruction`, and `examples` where there are some, as `ParsePrompt` makes it."""
    _: KW_ONLY
    target: Annotated[int, Ge(1)]
    """Examples wanted."""
    prompt: Template = "grow.jinja"
    """Gets `instruction`, `examples` and `detail` (0, 1, 2 in turn); the answer has lines with Input: and Output:."""
    first_temperature: Annotated[float, Ge(0)] = 0.5
    """At the start: safe answers, from which the pool is built (the paper's code)."""
    last_temperature: Annotated[float, Ge(0)] = 1.7
    """When all is done; in between it rises in proportion (the paper's code)."""
    anneal_over: Annotated[int, Ge(1)] | None = None
    """Examples over which it rises; None is `target`. Given, a larger `target` asks only for what is new."""
    max_examples: Annotated[int, Ge(1)] = 10
    """Most examples in a prompt; each prompt draws a number from 1 to this one (the paper's code)."""
    max_words: Annotated[int, Ge(1)] = 1500
    """Most words of the examples in a prompt; the paper's code cuts at 3500 tokens."""
    samples: Annotated[int, Ge(1)] = 5
    """Responses to each prompt (the paper's code)."""
    prompts_per_round: Annotated[int, Ge(1)] = 5
    """Prompts asked side by side before the pool is updated (the paper's code); more keep the teacher busier."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest response; one that is cut is dropped."""
    patience: Annotated[int, Ge(1)] = 10
    """Rounds in a row that may give nothing before the step gives up."""

    def temperature_at(self, count: int) -> float:
        """Return the temperature when `count` examples are there."""
        filled = min(1.0, count / (self.anneal_over or self.target))
        return round(self.first_temperature + (self.last_temperature - self.first_temperature) * filled, 3)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"task": ("instruction",)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", "instruction", "input", "output", "temperature", "round"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that every response is an example."""
        return Estimate(self.target, self.target, 2 * self.target * self.max_tokens)

    def run(self, task: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield examples as they come.

        Raises:
            BadInput: there is not exactly one task.
            PotstillError: the teacher writes no examples.
        """
        if len(task) != 1:
            raise BadInput(
                Problem("", "task", f"must be one row, got {len(task)}: grow each task by a step of its own")
            )
        instruction, instances = task[0]["instruction"], given_examples(task[0])
        grown: list[Instance] = []
        number = barren = 0
        # reports=False: progress counts accepted examples, not requests
        with Asker(as_teacher(teacher), context, reports=False) as asker:
            while len(grown) < self.target:
                number += 1
                before = len(grown)
                yield from self._round(instruction, instances, grown, number, asker, context)
                context.progress(len(grown), self.target, tokens=asker.usage["completion_tokens"])
                barren = 0 if len(grown) > before else barren + 1
                if barren == self.patience:
                    raise PotstillError(self._given_up(len(grown), number, context))

    def _round(
        self,
        instruction: str,
        given: tuple[Instance, ...],
        grown: list[Instance],
        number: int,
        asker: Asker,
        context: Context,
    ) -> Iterator[dict[str, Any]]:
        """Ask one round; add valid examples to `grown`, up to the target, and yield their rows."""
        heat = self.temperature_at(len(grown))
        for response in self._responses(instruction, [*given, *grown], heat, number, asker, context):
            for instance in self._read(response, given, number, context):
                if len(grown) == self.target:
                    return
                grown.append(instance)
                context.ledger.keep()
                yield self._row(instruction, instance, len(grown), heat, number)

    def _responses(
        self, instruction: str, pool: list[Instance], heat: float, number: int, asker: Asker, context: Context
    ) -> Iterator[Response]:
        """Ask one round; yield its responses."""
        for place_, response in asker.ask(list(self._requests(instruction, pool, heat, number))):
            if response.finish_reason == "error":
                lose_error(context, place_, response)
            elif response.finish_reason == "length":
                context.ledger.lose(place_, "filtered", "cut at max_tokens", f"max_tokens={self.max_tokens}")
            else:
                yield response

    def _requests(
        self, instruction: str, pool: list[Instance], heat: float, number: int
    ) -> Iterator[tuple[str, Request]]:
        """Yield the requests of a round, which depend on the pool, the seed and the round alone."""
        sampling = Sampling(heat, self.top_p, self.max_tokens)
        for prompt in range(self.prompts_per_round):
            draw = random.Random(f"{self.seed}/{number}/{prompt}")
            shown = self._drawn(pool, draw)
            detail = ((number - 1) * self.prompts_per_round + prompt) % DETAILS
            chat = render(self.prompt, {"instruction": instruction, "examples": shown, "detail": detail})
            for sample in range(self.samples):
                seed = request_seed(self.seed, number, prompt, sample)
                yield f"round {number}, prompt {prompt}, sample {sample}", Request(chat, sampling, seed)

    def _drawn(self, pool: list[Instance], draw: random.Random) -> list[Instance]:
        """Return the examples of one prompt: at least one if there are any, and not more than fit."""
        shown = draw.sample(pool, min(len(pool), draw.randint(1, self.max_examples)))
        words = 0
        for count, instance in enumerate(shown):
            words += len(chunks_of(instance.input)) + len(chunks_of(instance.output))
            if words > self.max_words and count:
                return shown[:count]
        return shown

    def _read(
        self, response: Response, given: tuple[Instance, ...], number: int, context: Context
    ) -> Iterator[Instance]:
        """Yield the examples in a response that are good."""
        try:
            instances = read_instances(response.text)
        except ValueError as error:
            context.ledger.lose(
                f"round {number}", "filtered", "no example in the answer", f"{error}: {response.text!r}"
            )
            return
        for instance in instances:
            reason = objection(instance, needs_input=True) or ("copy of a given example" if instance in given else "")
            if reason:
                context.ledger.lose(f"round {number}", "filtered", reason, repr(instance))
            else:
                yield instance

    def _row(self, instruction: str, instance: Instance, count: int, heat: float, number: int) -> dict[str, Any]:
        """Return the row of an example."""
        pair = {"input": instance.input, "output": instance.output}
        return {"id": f"grown-{count}", "instruction": instruction, **pair, "temperature": heat, "round": number}

    def _given_up(self, count: int, rounds: int, context: Context) -> str:
        """Return why the step stops short of its target."""
        return (
            f"the teacher gave no example in {self.patience} rounds: {count} of {self.target} after {rounds} rounds; "
            f"dropped: {context.ledger.counts()['filtered']}. Look at lost.jsonl; give examples, or another teacher"
        )


def given_examples(task: Mapping[str, Any]) -> tuple[Instance, ...]:
    """Return the examples in the row of a task."""
    pairs = [pair for pair in task.get("examples") or () if pair["output"] is not None]
    return tuple(Instance(str(pair.get("input") or ""), str(pair["output"])) for pair in pairs)
