"""Encode instances as training text in varied formats (Wang et al. 2023, "Self-Instruct", section 2.3)."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import Problem
from potstill.prompts import render
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

WITH_INPUT = (
    "{{ instruction }}\n\n{{ input }}",
    "{{ instruction }}\nInput: {{ input }}",
    "{{ instruction }}\n\nInput: {{ input }}\n\nOutput:",
    "{{ instruction }}\n\n{{ input }}\n\nOutput:",
    "Task: {{ instruction }}\nInput: {{ input }}\nOutput:",
    "Task: {{ instruction }}\n\n{{ input }}\n\nAnswer:",
    "{{ input }}\n\n{{ instruction }}",
)
"""Seven forms of a task with an input."""
WITHOUT_INPUT = (
    "{{ instruction }}",
    "{{ instruction }}\n\nOutput:",
    "{{ instruction }}\nOutput:",
    "{{ instruction }}\n\nAnswer:",
    "Task: {{ instruction }}",
    "Task: {{ instruction }}\nOutput:",
)
"""Six forms of a task without one."""
LABEL = re.compile(r"^[^\n:]{1,40}:[ \t]*", re.MULTILINE)
"""A field's name at the start of a line of an input."""


class EncodeInstructions(Step):
    """Writes each instance in a form drawn at random, so that a student does not learn one form by heart.

    `instruction` becomes the whole prompt, `task` keeps the bare instruction, and `input` goes away. A row's form
    depends on the row and the seed alone; rows whose prompt and output came before are dropped.

        >>> rows = LoadRows([{"instruction": "Add up.", "input": "2 and 3", "output": "5"}])
        >>> show(EncodeInstructions(rows, with_input=("{{ instruction }} ({{ input }})",)))
        {'instruction': 'Add up. (2 and 3)', 'output': '5', 'task': 'Add up.'}
    """

    rows: Rows
    """Instances: `instruction`, `output`, and `input` where there is one."""
    _: KW_ONLY
    seeds: Rows | None = None
    """Human-made instances that come first."""
    with_input: tuple[str, ...] = WITH_INPUT
    """Templates for rows with an input."""
    without_input: tuple[str, ...] = WITHOUT_INPUT
    """Templates for rows without."""
    plain: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Share of the inputs of a single field ("Sentence: ...") that lose its name, and, drawn apart, of all rows that
    lose their empty lines (the paper's code)."""
    seed: int = 0
    """Of the draws."""

    version: ClassVar[int] = 2  # a null is no instruction and no answer
    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield the lists of templates that are empty."""
        for name in ("with_input", "without_input"):
            if not getattr(self, name):
                yield Problem("", name, "holds no template: give at least one text with {{ instruction }}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": ("instruction", "output"), "seeds": ("instruction", "output")}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows, `task` in the place of `input`.

        Raises:
            BadInput: the rows have a column `task` already.
        """
        rows = inputs.get("rows")
        return None if rows is None else added(self, rows - {"input"}, ("task",))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        count = rows.get("rows")
        return Estimate(rows=None if count is None else count + (rows.get("seeds") or 0))

    def run(self, rows: Dataset, context: Context, seeds: Dataset | None = None) -> Iterator[dict[str, Any]]:
        """Yield the encoded rows; 16 bytes a row are remembered."""
        seen: set[bytes] = set()
        names = [name for name in rows.column_names if name != "input"]
        for origin, source in (("seed", seeds or ()), ("row", rows)):
            for number, row in enumerate(source):
                missing = [name for name in ("instruction", "output") if row[name] is None]
                if missing:
                    context.ledger.lose(str(row.get("id", f"{origin} {number}")), "filtered", f"no {missing[0]}")
                    continue
                prompt = self._prompt(row)
                mark = hashlib.blake2b(f"{prompt}\0{row['output']}".encode(), digest_size=16).digest()
                if mark in seen:
                    context.ledger.lose(str(row.get("id", f"{origin} {number}")), "filtered", "duplicate")
                    continue
                seen.add(mark)
                context.ledger.keep()
                bare = {name: row.get(name) for name in names}
                yield {**bare, "instruction": prompt, "task": row["instruction"]}

    def _prompt(self, row: Mapping[str, Any]) -> str:
        """Return the prompt of one row."""
        task, text = str(row["instruction"]), str(row.get("input") or "").strip()
        # seeded by the row's content, so that its form doesn't depend on the rows before it
        draw = random.Random(f"{self.seed}/{task}/{text}/{row['output']}")
        if len(LABEL.findall(text)) == 1 and LABEL.match(text) and draw.random() < self.plain:
            text = LABEL.sub("", text)
        template = draw.choice(self.with_input if text else self.without_input)
        prompt = render(template, {"instruction": task, "input": text})[-1]["content"]
        return re.sub(r"\n{2,}", "\n", prompt) if draw.random() < self.plain else prompt
