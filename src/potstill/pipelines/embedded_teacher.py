"""Training of the embedded teacher, and of the small base model that the demo's students start from.

Grammar -> chats (answering a command; proposing new ones) -> tokenizer -> Qwen3 with random weights -> training.
The base stands for the small instruction model that a user would take from the Hub: it has read lists of commands, and
answers plain questions about one (which device, which room, what, how much), but has never seen the system prompt or
a JSON answer.
Run with `potstill run src/potstill/pipelines/embedded_teacher.py`; about an hour on two cores.
The demo's test set `grammar_test.jsonl` is `commands(500, 7, "test")` of the grammar, and its seeds are
`commands(120, 11, "train")`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

from potstill import Context, Metrics, Model, Pipeline, Step
from potstill.data import home
from potstill.models.card import write_card
from potstill.prompts import render
from potstill.steps import Evaluate, LoadSeeds, RandomModel, TrainTokenizer
from potstill.trainers import HardLabel

HOME = "home.jinja"
"""Prompt of the domain; its system text is one token of the tokenizer."""
STANDING = render(HOME, {"instruction": "x"})[0]["content"]
COMMAND = "potstill run src/potstill/pipelines/embedded_teacher.py"
CHAT = "{% block system %}{{ system }}{% endblock %}{% block user %}{{ user }}{% endblock %}"
"""The rows below are rendered chats already."""


class Answers(Step):
    """Commands of the grammar with their actions, as chats."""

    count: int
    """Rows."""
    seed: int = 0
    """Of the grammar's choices."""
    split: Literal["train", "test"] = "train"
    """Which phrasings: the test split holds phrasings that the training split never shows."""
    makes = "rows"
    version = 1

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        from potstill.data.home.grammar import commands

        for number, command in enumerate(commands(self.count, self.seed, self.split)):
            system, user = (message["content"] for message in render(HOME, {"instruction": command.instruction}))
            row = {"id": f"{self.split}-{number}", "instruction": command.instruction, "output": command.output}
            yield {**row, "system": system, "user": user}


class Proposals(Step):
    """Lists of example commands and their continuation: what self-instruct asks a teacher for."""

    count: int
    """Rows."""
    seed: int = 1
    """Of the grammar's choices."""
    makes = "rows"
    version = 1

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        from potstill.data.home.grammar import commands

        random = Random(self.seed)
        stream = commands(self.count * 20, self.seed, "train")
        for number in range(self.count):
            shown, asked = random.choice([2, 4, 6, 8, 8]), random.choice([8, 8, 10, 12])
            yield proposal(f"list-{number}", stream, shown, asked)


class LongLists(Step):
    """The same, half of them with few examples and a long list: most of what is read is then also learned."""

    count: int
    """Rows."""
    seed: int = 3
    """Of the grammar's choices."""
    makes = "rows"
    version = 1

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        from potstill.data.home.grammar import commands

        stream = commands(self.count * 30, self.seed, "train")
        for number in range(self.count):
            shown, asked = (8, 8) if number % 2 else (2, 24)
            yield proposal(f"long-{number}", stream, shown, asked)


def proposal(name: str, stream: Iterator[Any], shown: int, asked: int) -> dict[str, Any]:
    """Return one chat that shows some commands of `stream` and goes on with others."""
    examples = [next(stream).instruction for _ in range(shown)]
    (message,) = render("self_instruct.jinja", {"examples": examples, "count": asked})
    lines = [f"{shown + place}. {next(stream).instruction}" for place in range(1, asked + 1)]
    return {"id": name, "instruction": "", "output": "\n".join(lines), "system": "", "user": message["content"]}


class Questions(Step):
    """Commands with a question about each, answered in a word or two: what a small instruction model can do already."""

    count: int
    """Commands; each makes four rows."""
    seed: int = 9
    """Of the grammar's choices."""
    makes = "rows"
    version = 2

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        from potstill.data.home.grammar import commands

        asked = {
            "device": "Which device is meant?",
            "room": "Which room is meant?",
            "action": "What is to be done?",
            "value": "Which value is meant?",
        }
        for number, command in enumerate(commands(self.count, self.seed, "train")):
            meant = json.loads(command.output)
            for key, question in asked.items():
                row = {"id": f"question-{number}-{key}", "instruction": "", "output": str(meant[key]).replace("_", " ")}
                yield {**row, "system": question, "user": command.instruction}


class Together(Step):
    """The rows of several steps, one after another."""

    parts: list[Any]
    """Steps that make rows with the same columns."""
    makes = "rows"

    def run(self, parts: list[Any]) -> Any:
        """Join them."""
        from datasets import concatenate_datasets

        return concatenate_datasets(parts)


class Embedded(Step):
    """A model with the card that it is committed with."""

    model: Model
    """The trained model."""
    title: str
    """What the card calls it."""
    figures: Metrics | None = None
    """What was measured."""
    date: str = "2026-11-21"
    """When it was made."""
    makes = "model"

    def run(self, model: Path, context: Context, figures: dict[str, Any] | None = None) -> Path:
        """Copy the model and write its card."""
        for file in model.iterdir():
            if file.name not in ("manifest.json", "log.txt", "lost.jsonl"):
                shutil.copyfile(file, context.out / file.name)
        measured = {}
        for name, values in (figures or {"sets": {}})["sets"].items():
            measured[f"{name}: exact match"] = values["exact_match"]
            measured[f"{name}: valid JSON"] = values["valid_json"]
            measured[f"{name}: commands"] = values["n"]
        recipe = {"training command": COMMAND, "date": self.date, "data": "the grammar in potstill/data/home"}
        write_card(
            context.out,
            title=self.title,
            made_from="random weights",
            recipe=recipe,
            figures=measured,
            licence="apache-2.0",
        )
        return context.out


answers = Answers(count=240_000)
proposals = Proposals(count=12_000)
chats = Together([answers, proposals])
tokenizer = TrainTokenizer(chats, prompt=CHAT, vocab_size=2048, whole=(STANDING,))

blank = RandomModel(tokenizer, hidden_size=192, layers=6, intermediate_size=512, heads=6, kv_heads=2)
answering = HardLabel(
    chats, student=blank, prompt=CHAT, epochs=1, batch_size=64, learning_rate=2e-3, warmup=0.02, weight_decay=0.01
)
# answers are learned long before new commands read well: a second stage is mostly lists
lists = LongLists(count=6_000)
teacher = HardLabel(
    Together([lists, Answers(count=8_000, seed=5)]),
    student=answering,
    prompt=CHAT,
    epochs=1,
    batch_size=32,
    learning_rate=1.2e-3,
)

small = RandomModel(tokenizer, hidden_size=128, layers=4, intermediate_size=384, heads=4, kv_heads=2)
reader = HardLabel(lists, student=small, prompt=CHAT, epochs=2, batch_size=16, learning_rate=3e-3)
base = HardLabel(Questions(count=60_000), student=reader, prompt=CHAT, epochs=1, batch_size=32, learning_rate=3e-3)

columns = ("instruction", "output")
tests = {
    "grammar": LoadSeeds(home.FOLDER / "grammar_test.jsonl", fields=columns),
    "handwritten": LoadSeeds(home.FOLDER / "handwritten.jsonl", fields=columns),
}
figures = Evaluate(teacher, tests, prompt=HOME)

outputs = {
    "teacher": Embedded(teacher, "Potstill's embedded teacher", figures),
    "base": Embedded(base, "Potstill's embedded base model"),
    "figures": figures,
}
pipeline = Pipeline("embedded-teacher", outputs=outputs)
