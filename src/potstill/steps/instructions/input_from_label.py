"""Inputs for labels: the easy direction of a task whose answer is easier to start from than to find.

Ye et al. 2022, "ZeroGen", section 3.1, and Josifoski et al. 2023, "Exploiting Asymmetry for Synthetic Training Data
Generation", section 3; the novelty filter is that of Wang et al. 2023, "Self-Instruct", section 2.2, within a label.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.encoding import digest
from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, Problem
from potstill.prompts import Template, render
from potstill.steps.generation.base import AskingStep
from potstill.steps.generation.list_parsers import one_line, parse_list
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, request_seed
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.text.words import chunks_of, fold

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource
    from potstill.text.rouge_novelty import RougePool


class InputFromLabel(AskingStep):
    """Has the teacher write `per_label` new texts for each label that the rows have.

    A prompt shows some of the label's own rows. A text is dropped that is too short or too long, that was there before
    under any label, or that is too like another one of its label. The prompts of a label depend on the rows alone, so
    a larger `per_label` asks only for what is new. A text that is wanted and doesn't come counts as failed, and so does
    a prompt without a response.

        >>> rows = LoadRows([{"instruction": "turn on the lamp", "label": "light"}])
        >>> texts = InputFromLabel(rows, teacher=teacher, per_label=50)
        >>> texts.estimate({"rows": 1}).calls is None, sorted(texts.columns({}))
        (False, ['id', 'instruction', 'label'])
    """

    rows: Rows
    """Examples: a text and its label."""
    _: KW_ONLY
    per_label: Annotated[int, Ge(1)]
    """New texts wanted for each label."""
    column: str = "instruction"
    """Where the text is."""
    label: str = "label"
    """Where the label is."""
    descriptions: dict[str, str] = field(default_factory=dict)
    """What a label means, in words, where its name doesn't say it."""
    prompt: Template = "input_from_label.jinja"
    """Gets `label`, `description`, `examples` and `count`; the answer is read as a list."""
    examples: Annotated[int, Ge(0)] = 8
    """Rows of the label that a prompt shows; 0 shows none."""
    per_prompt: Annotated[int, Ge(1)] = 10
    """Texts asked for in one response."""
    novelty: Annotated[float, Interval(ge=0, le=1)] = 0.7
    """ROUGE-L F to a text of the same label above which one is not new."""
    min_words: Annotated[int, Ge(1)] = 2
    """Fewest words."""
    max_words: Annotated[int, Ge(1)] = 60
    """Most words."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """Plain sampling: variety is what is wanted."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.95
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest response; of one that is cut, the last text is dropped."""
    patience: Annotated[int, Ge(1)] = 5
    """Prompts of a label in a row that may give nothing before the label is given up."""

    version: ClassVar[int] = 3  # lists are read in all forms that teachers write
    unordered: ClassVar[frozenset[str]] = frozenset({"descriptions"})

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, or between two parameters."""
        yield from super().check()
        if self.min_words > self.max_words:
            yield Problem("", "min_words", f"must not exceed max_words={self.max_words}, got {self.min_words}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": (self.column, self.label)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", self.column, self.label})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count one label; how many there are shows when the rows are there."""
        calls = -(-2 * self.per_label // self.per_prompt)
        return Estimate(calls=calls, tokens=calls * 2 * self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield texts as they are accepted; all labels are asked side by side.

        Raises:
            BadInput: there are no rows, or a description of a label that none has.
        """
        seen, labels = self._labels(rows, context)
        open_ = list(labels)
        with Asker(as_teacher(teacher), context, reports=False) as asker:
            while open_:
                for (shelf, prompt), response in asker.ask(list(self._requests(open_))):
                    for text in self._accepted(shelf, prompt, response, seen, context):
                        context.ledger.keep()
                        yield self._row(shelf.label, text)
                accepted = sum(shelf.made for shelf in labels)
                context.progress(accepted, len(labels) * self.per_label, tokens=asker.usage["completion_tokens"])
                open_ = [s for s in open_ if s.made < self.per_label and s.barren < self.patience]
        for shelf in labels:
            for number in range(shelf.made, self.per_label):
                detail = f"{shelf.made} of {self.per_label} after {shelf.asked} prompts"
                context.ledger.lose(f"{shelf.label} {number + 1}", "permanent", "nothing new for the label", detail)

    def _labels(self, rows: Dataset, context: Context) -> tuple[set[str], list[Shelf]]:
        """Return all texts, and the labels with theirs in the order of the rows."""
        from potstill.text.rouge_novelty import RougePool

        shelves: dict[Any, Shelf] = {}
        for number, row in enumerate(rows.select_columns([self.column, self.label])):
            missing = [name for name in (self.column, self.label) if row[name] is None]
            if missing:
                context.ledger.lose(f"row {number}", "filtered", f"no {missing[0]}")
                continue
            shelf = shelves.setdefault(row[self.label], Shelf(row[self.label], RougePool(self.novelty)))
            shelf.seeds.append(one_line(str(row[self.column])))
            shelf.pool.add(shelf.seeds[-1])
        unknown = sorted(set(self.descriptions) - {str(label) for label in shelves})
        if not shelves or unknown:
            text = f"describes {unknown}, which no row has as its {self.label}" if unknown else "no rows: give some"
            raise BadInput(Problem("", "descriptions" if unknown else "rows", text))
        return {fold(text) for shelf in shelves.values() for text in shelf.seeds}, list(shelves.values())

    def _requests(self, shelves: list[Shelf]) -> Iterator[tuple[tuple[Shelf, int], Request]]:
        """Yield for each label the prompts that would just fill it; each depends on the label and its number alone."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens)
        for shelf in shelves:
            for _ in range(-(-(self.per_label - shelf.made) // self.per_prompt)):
                # seeded by label and number alone: other labels, or a larger `per_label`, change no earlier prompt
                draw = random.Random(f"{self.seed}/{shelf.label}/{shelf.asked}")
                shown = {
                    "label": shelf.label,
                    "description": self.descriptions.get(str(shelf.label), ""),
                    "examples": draw.sample(shelf.seeds, min(self.examples, len(shelf.seeds))),
                    "count": self.per_prompt,
                }
                seed = request_seed(self.seed, str(shelf.label), shelf.asked)
                yield (shelf, shelf.asked), Request(render(self.prompt, shown), sampling, seed)
                shelf.asked += 1

    def _accepted(
        self, shelf: Shelf, prompt: int, response: Response, seen: set[str], context: Context
    ) -> Iterator[str]:
        """Yield the new texts in a response."""
        source = f"{shelf.label}, prompt {prompt}"
        shelf.barren += 1
        for text in self._read(response, source, context):
            if shelf.made == self.per_label:
                return
            reason = self._objection(text, shelf, seen)
            if reason:
                context.ledger.lose(source, "filtered", reason, text)
                continue
            seen.add(fold(text))
            shelf.pool.add(text)
            shelf.made += 1
            shelf.barren = 0
            yield text

    def _read(self, response: Response, source: str, context: Context) -> list[str]:
        """Return the texts in a response, without the last one if it was cut."""
        if response.finish_reason == "error":
            lose_error(context, source, response)
            return []
        items = parse_list(response.text)
        if response.finish_reason == "length" and items:
            items.pop()
            context.ledger.lose(source, "filtered", "cut at max_tokens", f"max_tokens={self.max_tokens}")
        if not items:
            context.ledger.lose(source, "filtered", "no list in the answer", response.text)
        return items

    def _objection(self, text: str, shelf: Shelf, seen: set[str]) -> str:
        """Return why a text is not wanted, or an empty string."""
        words = len(chunks_of(text))
        if not self.min_words <= words <= self.max_words:
            return "too short" if words < self.min_words else "too long"
        if fold(text) in seen:
            return "duplicate"
        return "not novel" if shelf.pool.nearest(text)[0] > self.novelty else ""

    def _row(self, label: object, text: str) -> dict[str, Any]:
        """Return the row of a text; its id comes from label and text."""
        return {"id": f"{label}-{digest([label, text])[:16]}", self.column: text, self.label: label}


@dataclass
class Shelf:
    """A label and its texts."""

    label: Any
    """As the rows have it."""
    pool: RougePool
    """What new texts are compared with."""
    seeds: list[str] = field(default_factory=list)
    """The texts of the rows."""
    made: int = 0
    """New texts accepted."""
    asked: int = 0
    """Prompts asked."""
    barren: int = 0
    """Prompts in a row that gave nothing."""
