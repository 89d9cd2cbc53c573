"""The pool of instructions from which prompts are sampled, and its novelty filter (Wang et al. 2023)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from potstill.steps.generation.list_parsers import one_line, parse_list
from potstill.steps.instructions.rules import Rules
from potstill.text.rouge_novelty import RougePool
from potstill.text.words import fold

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.teachers.protocol import Response


@dataclass
class Pool:
    """The seeds and the instructions accepted so far."""

    rules: Rules
    """What an instruction must be like."""
    novelty: float
    """ROUGE-L F to anything in the pool above which an instruction is not new."""
    context: Context
    """Where dropped ones are recorded."""
    seeds: list[str] = field(default_factory=list)
    """Human-made instructions, each once."""
    made: list[str] = field(default_factory=list)
    """Accepted machine-made instructions."""
    dropped: Counter[str] = field(default_factory=Counter)
    """How many were dropped, by reason."""
    _texts: set[str] = field(default_factory=set)

    @cached_property
    def rouge(self) -> RougePool:
        """Return what the novelty of an instruction is measured against."""
        return RougePool(self.novelty)

    def add_seed(self, text: str) -> None:
        """Add a human-made instruction."""
        plain = one_line(text)
        if plain and fold(plain) not in self._texts:
            self.seeds.append(plain)
            self._remember(plain)

    def draw(self, random_: random.Random, count: int, machine_made: int) -> list[str]:
        """Return `count` examples for one prompt, up to `machine_made` of them so, shuffled (section 2.2)."""
        # in the first rounds there are few machine-made ones: seeds fill their places
        machine = min(machine_made, len(self.made))
        shown = random_.sample(self.seeds, min(count - machine, len(self.seeds)))
        shown += random_.sample(self.made, machine)
        random_.shuffle(shown)
        return shown

    def parse(self, response: Response, source: str, *, keep_cut: bool = True) -> list[str]:
        """Return the instructions in a response; the last one of a cut response is incomplete."""
        items = parse_list(response.text)
        if response.finish_reason == "length" and items:
            items = items[:-1] if keep_cut else []
            self._drop(source, "cut at max_tokens")
            if not keep_cut:
                return []
        if not items:
            self._drop(source, "no list in the answer")
        return items

    def accept(self, text: str, source: str) -> bool:
        """Add a machine-made instruction if the rules allow it and it is new."""
        reason = self.rules.objection(text) or self._known(text)
        if reason:
            self._drop(source, reason)
            return False
        self.made.append(text)
        self._remember(text)
        return True

    def reasons(self) -> str:
        """Return how many were dropped for each reason, as a text."""
        return ", ".join(f"{reason} {count}" for reason, count in self.dropped.most_common()) or "nothing was written"

    def _known(self, text: str) -> str:
        """Return why an instruction is not new, or an empty string."""
        if fold(text) in self._texts:
            return "duplicate"
        return "not novel" if self.rouge.nearest(text)[0] > self.novelty else ""

    def _remember(self, text: str) -> None:
        """Make `text` part of what others are compared with."""
        self.rouge.add(text)
        self._texts.add(fold(text))

    def _drop(self, source: str, reason: str) -> None:
        """Record what was dropped."""
        self.dropped[reason] += 1
        self.context.ledger.lose(source, "filtered", reason)
