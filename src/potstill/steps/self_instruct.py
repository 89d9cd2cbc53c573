"""New instructions written by a teacher from examples of them, in rounds (Wang et al. 2023, "Self-Instruct")."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.errors import BadInput, PotstillError, Problem
from potstill.generate import Asker, as_teacher, lose_error, place, request_seed, teacher_problems
from potstill.keys import digest
from potstill.prompts import Template, render
from potstill.step import Estimate, Model, Rows, Step
from potstill.teachers.protocol import Request, Response, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context
    from potstill.steps.novelty import RougePool

NUMBER = re.compile(r"\s*(?:\(?\d{1,5}[.):]+|[-*•])(?:\s+|$)")
"""What a list item starts with."""


class SelfInstruct(Step):
    """Grows a pool of instructions: shows the teacher some of it, and keeps what comes back and is new.

    Each round asks `prompts_per_round` prompts, whose examples are drawn from the pool as the round found it; so the
    rows for a smaller `target` are the first ones for a larger, and raising it asks only for what is new.
    """

    seeds: Rows
    """Human-made instructions (column `instruction`)."""
    _: KW_ONLY
    teacher: Model
    """Who writes."""
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
    temperature: Annotated[float, Ge(0)] = 1.0
    """Above the paper's 0.7, which was meant for a base model: chat models are more peaked."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.95
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest response; of one that is cut, the last item is dropped."""
    include_seeds: bool = False
    """Whether the seeds come first in the rows; they don't count towards `target`."""
    patience: Annotated[int, Ge(1)] = 5
    """Rounds in a row that may yield less than `min_yield` before the step gives up."""
    min_yield: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of what was asked for that a fruitful round accepts."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of prompts and rows that may fail."""
    seed: int = 0
    """Of the choice of examples and of the sampling."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, self.teacher)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, or between two parameters."""
        yield from teacher_problems(self.teacher)
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

    def run(self, seeds: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield instructions as they are accepted.

        Raises:
            BadInput: there are no seeds.
            PotstillError: the teacher writes nothing new any more.
        """
        pool = Pool(self, context)
        for text in seeds["instruction"]:
            pool.add_seed(text)
        if not pool.seeds:
            raise BadInput(Problem("", "seeds", "no seed instruction: give at least one row"))
        if self.include_seeds:
            yield from (self._row(text, "seed", 0, context) for text in pool.seeds)
        with Asker(as_teacher(teacher), context) as asker:
            number = barren = 0
            while len(pool.made) < self.target:
                number += 1
                before = len(pool.made)
                for text in self._round(pool, asker, number):
                    yield self._row(text, "teacher", number, context)
                context.progress(len(pool.made), self.target, tokens=asker.usage["completion_tokens"])
                fruitful = len(pool.made) - before >= max(1, self.min_yield * self.prompts_per_round * self.per_prompt)
                barren = 0 if fruitful else barren + 1
                if barren >= self.patience and len(pool.made) < self.target:
                    raise PotstillError(self._given_up(pool, number))

    def _round(self, pool: Pool, asker: Asker, number: int) -> Iterator[str]:
        """Ask one round of prompts; yield what is accepted, at most up to the target."""
        for prompt, response in asker.ask(list(self._requests(pool, number))):
            source = f"round {number}, prompt {prompt}"
            if response.finish_reason == "error":
                lose_error(pool.context, source, response)
                continue
            for item, text in enumerate(pool.parse(response, source)):
                if len(pool.made) < self.target and pool.accept(text, f"{source}, item {item}"):
                    yield text

    def _requests(self, pool: Pool, number: int) -> Iterator[tuple[int, Request]]:
        """Yield the prompts of a round, which depend on the pool, the seed and the round alone."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens)
        for prompt in range(self.prompts_per_round):
            draw = random.Random(f"{self.seed}/{number}/{prompt}")
            shown = {"examples": pool.draw(draw), "count": self.per_prompt}
            yield prompt, Request(render(self.prompt, shown), sampling, request_seed(self.seed, number, prompt))

    def _row(self, text: str, origin: str, number: int, context: Context) -> dict[str, Any]:
        """Return the row of an instruction; its id comes from its text."""
        context.ledger.keep()
        return {"id": f"{origin}-{digest(text)[:16]}", "instruction": text, "origin": origin, "round": number}

    def _given_up(self, pool: Pool, rounds: int) -> str:
        """Say why the step stops short of its target."""
        reasons = (
            ", ".join(f"{reason} {count}" for reason, count in pool.dropped.most_common()) or "nothing was written"
        )
        return (
            f"the teacher writes nothing new any more: {len(pool.made)} of {self.target} instructions after {rounds} "
            f"rounds, of which the last {self.patience} gave almost none; dropped: {reasons}. Lower target, raise "
            "novelty or temperature, or give more and more varied seeds"
        )


@dataclass
class Pool:
    """The seeds and the instructions accepted so far."""

    step: SelfInstruct
    """Parameters."""
    context: Context
    """Where dropped ones are recorded."""
    seeds: list[str] = field(default_factory=list)
    """Human-made instructions, each once."""
    made: list[str] = field(default_factory=list)
    """Accepted machine-made instructions."""
    dropped: Counter[str] = field(default_factory=Counter)
    """How many were dropped, by reason."""
    _texts: set[str] = field(default_factory=set)
    _rouge: RougePool | None = None
    _shown: int = 0

    def add_seed(self, text: str) -> None:
        """Add a human-made instruction."""
        plain = one_line(text)
        if plain and plain.casefold() not in self._texts:
            self.seeds.append(plain)
            self._remember(plain)

    def draw(self, random_: random.Random) -> list[str]:
        """Return examples for one prompt: mostly seeds, some machine-made, shuffled (section 2.2)."""
        machine = min(self.step.machine_examples, len(self.made))
        shown = random_.sample(self.seeds, min(self.step.examples - machine, len(self.seeds)))
        shown += random_.sample(self.made, machine)
        random_.shuffle(shown)
        return shown

    def parse(self, response: Response, source: str) -> list[str]:
        """Return the instructions in a response; the last one of a cut response is incomplete."""
        items = parse_list(response.text)
        if response.finish_reason == "length" and items:
            items.pop()
            self._drop(source, "cut at max_tokens")
        if not items:
            self._drop(source, "no list in the answer")
        return items

    def accept(self, text: str, source: str) -> bool:
        """Add a machine-made instruction if it is of the right length and new."""
        reason = self._objection(text)
        if reason:
            self._drop(source, reason)
            return False
        self.made.append(text)
        self._remember(text)
        return True

    def _objection(self, text: str) -> str:
        """Return why an instruction is not wanted, or nothing."""
        words = len(text.split())
        if words < self.step.min_words:
            return "too short"
        if words > self.step.max_words:
            return "too long"
        if text.casefold() in self._texts:
            return "duplicate"
        assert self._rouge is not None
        return "not novel" if self._rouge.nearest(text)[0] > self.step.novelty else ""

    def _remember(self, text: str) -> None:
        """Make `text` part of what others are compared with."""
        from potstill.steps.novelty import RougePool

        self._rouge = self._rouge or RougePool(self.step.novelty)
        self._rouge.add(text)
        self._texts.add(text.casefold())

    def _drop(self, source: str, reason: str) -> None:
        """Record what was dropped."""
        self.dropped[reason] += 1
        self.context.ledger.lose(source, "filtered", reason)


def parse_list(text: str) -> list[str]:
    r"""Return the items of a numbered or bulleted list; without one, each line is an item.

    Lines before the first number are talk; a line without a number goes on with the item before it.

    >>> parse_list("Sure!\n9. Dim the\n lamp\n10) **Open the blinds**")
    ['Dim the lamp', 'Open the blinds']
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not any(NUMBER.match(line) for line in lines):
        return [item for item in map(_bare, lines) if item]
    items: list[str] = []
    for line in lines:
        found = NUMBER.match(line)
        if found:
            items.append(line[found.end() :])
        elif items:
            items[-1] += " " + line
    return [item for item in map(_bare, items) if item]


def _bare(text: str) -> str:
    """Return an item without the quotes or emphasis around it."""
    plain = one_line(text)
    for mark in ("**", "*", "`", '"', "'"):
        if len(plain) > 2 * len(mark) and plain.startswith(mark) and plain.endswith(mark):
            plain = plain[len(mark) : -len(mark)].strip()
    return plain


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one space."""
    return " ".join(text.split())
