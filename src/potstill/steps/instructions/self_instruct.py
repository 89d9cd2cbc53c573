"""Self-Instruct: a teacher writes new instructions from examples, in rounds (Wang et al. 2023, "Self-Instruct")."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.encoding import digest
from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, PotstillError, Problem
from potstill.prompts import Template, render
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.rules import BLOCKED_STARTS, BLOCKED_WORDS, Rules
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, request_seed
from potstill.teachers.protocol import Request, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.steps.instructions.pool import Pool
    from potstill.teachers.protocol import TeacherSource


PAPER_SAMPLING: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.5,
    "presence_penalty": 2.0,
    "max_tokens": 1024,
    "stop": ("\n\n", "\n16", "16.", "16 ."),
    "keep_cut": False,
}
"""How the paper drew from GPT-3, a base model, by its code: `SelfInstruct(seeds, ..., **PAPER_SAMPLING)`."""


class SelfInstruct(AskingStep):
    """Grows a pool of instructions: shows the teacher some of it, and keeps what comes back and is new.

    Each round asks `prompts_per_round` prompts, whose examples are drawn from the pool as the round found it; so the
    rows for a smaller `target` are the first ones for a larger, and raising it asks only for what is new. This is the
    first half of the algorithm (section 2.2, steps 1 and 4, in a chat's form); `DetectClassification`,
    `WriteInstances` and `EncodeInstructions` are the second.

        >>> texts = ("turn on the lamp in the kitchen", "lock the front door", "set the heating to 20 degrees")
        >>> seeds = LoadRows([{"instruction": text} for text in texts])
        >>> commands = SelfInstruct(seeds, teacher=teacher, target=3, examples=4, min_words=2, prompts_per_round=4)
        >>> show(Select(commands, ["origin", "round"]))
        {'origin': 'teacher', 'round': 1}
        {'origin': 'teacher', 'round': 1}
        {'origin': 'teacher', 'round': 1}
    """

    version: ClassVar[int] = 3  # lists are read in all forms that teachers write

    seeds: Rows
    """Human-made instructions (column `instruction`)."""
    _: KW_ONLY
    target: Annotated[int, Ge(1)]
    """New instructions wanted."""
    prompt: Template = "self_instruct.jinja"
    """Gets `examples` (a list of texts) and `count`; the answer is read as a numbered list."""
    examples: Annotated[int, Ge(1)] = 8
    """Instructions shown in a prompt (section 2.2)."""
    machine_examples: Annotated[int, Ge(0)] = 2
    """How many of them may be machine-made (section 2.2)."""
    per_prompt: Annotated[int, Ge(1)] = 8
    """Instructions asked for in one response, as many as are shown."""
    prompts_per_round: Annotated[int, Ge(1)] = 32
    """Prompts asked side by side before the pool is updated; more keep the teacher busier, fewer mix better."""
    novelty: Annotated[float, Interval(ge=0, le=1)] = 0.7
    """ROUGE-L F to anything in the pool above which an instruction is not new (section 2.2)."""
    min_words: Annotated[int, Ge(1)] = 4
    """Fewest words (the paper's code drops those of up to 3)."""
    max_words: Annotated[int, Ge(1)] = 150
    """Most words (the paper's code)."""
    blocked_words: tuple[str, ...] = BLOCKED_WORDS
    """Whole words or phrases that drop an instruction: things that text can't do (section 2.2); () blocks none."""
    blocked_starts: tuple[str, ...] = BLOCKED_STARTS
    """Beginnings that drop an instruction (the paper's code); () blocks none."""
    plain_start: bool = True
    """Whether one that starts with no letter or digit is dropped (the paper's code, for ASCII)."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """Above the paper's 0.7, which was meant for a base model: chat models are more peaked."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.95
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest response; the paper's 1024 were for a base model, which repeats the examples' form at length."""
    presence_penalty: Annotated[float, Interval(ge=-2, le=2)] = 0.0
    """Taken from the logits of tokens that the response holds already; the paper's 2 kept a base model from repeating
    itself, and takes the numbers and line ends of its list from a small chat model."""
    stop: tuple[str, ...] = ()
    """Texts that end a response: a chat model ends by itself, a base model needs such as "16." (the paper's code)."""
    keep_cut: bool = True
    """Whether a response that was cut loses its last item alone; the paper's code drops it whole."""
    include_seeds: bool = False
    """Whether the seeds come first in the rows; they don't count towards `target`."""
    patience: Annotated[int, Ge(1)] = 5
    """Rounds in a row that may yield less than `min_yield` before the step gives up."""
    min_yield: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of what was asked for that a fruitful round accepts."""

    @property
    def rules(self) -> Rules:
        """Return what an instruction must be like."""
        return Rules(self.min_words, self.max_words, self.blocked_words, self.blocked_starts, self.plain_start)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, or between two parameters."""
        yield from super().check()
        if self.min_words > self.max_words:
            yield Problem("", "min_words", f"must not exceed max_words={self.max_words}, got {self.min_words}")
        if self.machine_examples >= self.examples:
            yield Problem("", "machine_examples", f"must be less than examples={self.examples}: seeds keep the style")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that seeds must have."""
        return {"seeds": ("instruction",)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", "instruction", "origin", "round"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that half of what the teacher writes is kept."""
        per_round = self.prompts_per_round
        rounds = -(-2 * self.target // (self.per_prompt * per_round))
        seeds = (rows.get("seeds") or 0) if self.include_seeds else 0
        calls = rounds * per_round
        return Estimate(rows=self.target + seeds, calls=calls, tokens=calls * 2 * self.max_tokens)

    def run(self, seeds: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield instructions as they are accepted.

        Raises:
            BadInput: there are no seeds.
            PotstillError: the teacher writes nothing new any more.
        """
        pool = self._pool(seeds, context)
        if self.include_seeds:
            yield from (self._row(text, "seed", 0, context) for text in pool.seeds)
        # reports=False: progress counts accepted instructions, not requests
        with Asker(as_teacher(teacher), context, reports=False) as asker:
            yield from self._grown(pool, asker, context)

    def _pool(self, seeds: Dataset, context: Context) -> Pool:
        """Return the pool of the seeds.

        Raises:
            BadInput: there are none.
        """
        from potstill.steps.instructions.pool import Pool

        pool = Pool(self.rules, self.novelty, context)
        for text in seeds["instruction"]:
            pool.add_seed(text)
        if not pool.seeds:
            raise BadInput(Problem("", "seeds", "no seed instruction: give at least one row"))
        return pool

    def _grown(self, pool: Pool, asker: Asker, context: Context) -> Iterator[dict[str, Any]]:
        """Ask round after round until the target is reached; yield the rows of what is accepted.

        Raises:
            PotstillError: the teacher writes nothing new any more.
        """
        growth: list[int] = []
        barren = 0
        while (before := len(pool.made)) < self.target:
            number = len(growth) + 1
            for text in self._round(pool, asker, number):
                yield self._row(text, "teacher", number, context)
            growth.append(len(pool.made))
            context.notes["pool"] = {"after_each_round": growth, "novelty_bytes": pool.rouge.nbytes}
            context.progress(len(pool.made), self.target, tokens=asker.usage["completion_tokens"])
            fruitful = len(pool.made) - before >= max(1, self.min_yield * self.prompts_per_round * self.per_prompt)
            barren = 0 if fruitful else barren + 1
            if barren >= self.patience and len(pool.made) < self.target:
                raise PotstillError(self._given_up(pool, number))

    def _round(self, pool: Pool, asker: Asker, number: int) -> Iterator[str]:
        """Ask one round of prompts; yield what is accepted, at most up to the target."""
        # a list: all prompts are drawn from the pool as it was before the round's first answer
        for prompt, response in asker.ask(list(self._requests(pool, number))):
            source = f"round {number}, prompt {prompt}"
            if response.finish_reason == "error":
                lose_error(pool.context, source, response)
                continue
            for item, text in enumerate(pool.parse(response, source, keep_cut=self.keep_cut)):
                if len(pool.made) < self.target and pool.accept(text, f"{source}, item {item}"):
                    yield text

    def _requests(self, pool: Pool, number: int) -> Iterator[tuple[int, Request]]:
        """Yield the prompts of a round, which depend on the pool, the seed and the round alone."""
        sampling = Sampling(
            self.temperature, self.top_p, self.max_tokens, self.stop, presence_penalty=self.presence_penalty
        )
        for prompt in range(self.prompts_per_round):
            draw = random.Random(f"{self.seed}/{number}/{prompt}")
            shown = {"examples": pool.draw(draw, self.examples, self.machine_examples), "count": self.per_prompt}
            yield prompt, Request(render(self.prompt, shown), sampling, request_seed(self.seed, number, prompt))

    def _row(self, text: str, origin: str, number: int, context: Context) -> dict[str, Any]:
        """Return the row of an instruction; its id comes from its text."""
        context.ledger.keep()
        return {"id": f"{origin}-{digest(text)[:16]}", "instruction": text, "origin": origin, "round": number}

    def _given_up(self, pool: Pool, rounds: int) -> str:
        """Return why the step stops short of its target."""
        return (
            f"the teacher writes nothing new any more: {len(pool.made)} of {self.target} instructions after {rounds} "
            f"rounds, of which the last {self.patience} gave almost none; dropped: {pool.reasons()}. Lower "
            "target, raise novelty or temperature, or give more and more varied seeds"
        )
