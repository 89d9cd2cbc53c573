"""Lessons for a small teacher from P3 (Bach et al. 2022, "PromptSource"; Sanh et al. 2022): prompts with completions.

Completions are short and prompts long, so a model that only learned to complete would have read ten words for each
that it learned. So every row is learned twice: its answer, and its whole text, as one that is to be continued or as an
example of a task. The forms are those in which Self-Instruct will ask.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from potstill import VLLM, Rows, Step
from potstill.prompts import render
from potstill.teachers.transformers import Transformers

DATA = Path(os.environ.get("POTSTILL_DATASETS", Path(__file__).parents[3] / "shared" / "datasets"))
"""Where the datasets lie; none of them is part of the project."""
CHAT = "{{ user }}"
"""The lessons below are rendered chats already."""
DETECT = "Is the answer to this task one of a few labels that are known beforehand? Say Yes or No.\n\n{{ instruction }}"
INPUT_FIRST = "Give an example of this task: an input, and the right output for it.\n\nTask: {{ instruction }}"
OUTPUT_FIRST = "Give an example of this task: a label, and an input that it is right for.\n\nTask: {{ instruction }}"
PARTS = re.compile(r"([A-Z][^:\n]{8,120}):\s+(\S.{8,600})", re.DOTALL)
"""A prompt of the form `Instruction: input`."""
END = "<|endoftext|>"


def answering(model: Any, max_model_length: int = 1024) -> Any:
    """Return a teacher of `model` that computes in float32: then the batch a text is drawn in changes next to nothing.

    POTSTILL_ENGINE=transformers takes transformers instead of vLLM: slower, but ready in seconds.
    """
    engine: Any = Transformers if os.environ.get("POTSTILL_ENGINE") == "transformers" else VLLM
    return engine(model, dtype="float32", max_model_length=max_model_length)


def short(row: Mapping[str, Any]) -> bool:
    """Return whether a row has about 256 tokens at most."""
    return bool(row["completion"].replace(END, "").strip()) and len(row["prompt"]) + len(row["completion"]) <= 900


class Lessons(Step):
    """Chats (`user`, `output`) from P3's rows."""

    rows: Rows
    """P3: `task`, `prompt`, `completion`."""
    count: int
    """Rows of P3 that are used, evenly over its templates."""
    lists: int
    """Lists of tasks that go on, as Self-Instruct asks for them."""
    seed: int = 0
    """Of all choices."""
    makes = "rows"

    def run(self, rows: Any) -> Iterator[dict[str, Any]]:
        """Yield the lessons."""
        by_task: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            by_task[row["task"]].append({"prompt": row["prompt"].strip(), "completion": plain(row["completion"])})
        tasks: list[str] = []
        for name, number in evenly({name: len(actual) for name, actual in by_task.items()}, self.count):
            row, random = by_task[name][number], Random(f"{self.seed}/{name}/{number}")
            labels = {actual["completion"] for actual in by_task[name]}
            few = len(labels) <= min(10, len(by_task[name]) // 3)
            for user, output in forms(row, few, random):
                yield {"id": f"{name}-{number}", "user": user, "output": output}
            if len(row["prompt"]) <= 160:
                tasks.append(" ".join(row["prompt"].split()))
        yield from self._lists(sorted(set(tasks)))

    def _lists(self, tasks: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield lists of tasks that go on."""
        random = Random(self.seed)
        for number in range(self.lists if len(tasks) >= 16 else 0):
            drawn = random.sample(tasks, 16)
            user = render("self_instruct.jinja", {"examples": drawn[:8], "count": 8})[0]["content"]
            output = "\n".join(f"{place}. {task}" for place, task in enumerate(drawn[8:], 9))
            yield {"id": f"list-{number}", "user": user, "output": output}


def forms(row: Mapping[str, str], few_labels: bool, random: Random) -> Iterator[tuple[str, str]]:
    """Yield what is asked and answered about one row: its answer, its whole text, and now and then its kind."""
    prompt, completion = row["prompt"], row["completion"]
    parts = PARTS.fullmatch(prompt)
    yield prompt, completion
    if parts and random.random() < 0.5:
        lines = [f"Input: {' '.join(parts[2].split())}", f"Output: {' '.join(completion.split())}"]
        template, order = (OUTPUT_FIRST, -1) if few_labels else (INPUT_FIRST, 1)
        yield render(template, {"instruction": f"{parts[1]}."})[0]["content"], "\n".join(lines[::order])
    else:
        words = prompt.split(" ")
        start = random.randint(2, 8)
        yield f"Continue: {' '.join(words[:start])}", f"{' '.join(words[start:])} {completion}".strip()
    if len(prompt) < 400 and random.random() < 0.15:
        yield render(DETECT, {"instruction": prompt})[0]["content"], "Yes" if few_labels else "No"


def evenly(sizes: Mapping[str, int], count: int) -> Iterator[tuple[str, int]]:
    """Yield (name, number) in turn over the names until each has no more or `count` is reached."""
    result = 0
    for number in range(max(sizes.values(), default=0)):
        for name in sorted(sizes):
            if number < sizes[name]:
                result += 1
                if result > count:
                    return
                yield name, number


def plain(completion: str) -> str:
    """Return a completion without the end mark."""
    return completion.replace(END, "").strip()
