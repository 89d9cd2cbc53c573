"""How the embedded teacher was made, and the small base model that the demo's students start from.

Grammar -> chats (answering a command; proposing new ones) -> tokenizer -> Qwen3 with random weights -> training.
The base reads the same language, but no JSON answer: it stands for the small pretrained model that a user would take
from the Hub. Run with `potstill run src/potstill/pipelines/embedded_teacher.py`; about an hour and a half on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Literal

from potstill import Pipeline, Step
from potstill.data import home
from potstill.prompts import render
from potstill.steps import Evaluate, LoadSeeds, RandomModel, TrainTokenizer
from potstill.trainers import HardLabel

HOME = "home.jinja"
"""Prompt of the domain; its system text is one token of the tokenizer."""
STANDING = render(HOME, {"instruction": "x"})[0]["content"]
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
    """Lists of example commands, and the list that goes on: what self-instruct asks a teacher for."""

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
            shown = [next(stream).instruction for _ in range(random.choice([2, 4, 6, 8, 8]))]
            asked = [next(stream).instruction for _ in range(random.choice([8, 8, 10, 12]))]
            (message,) = render("self_instruct.jinja", {"examples": shown, "count": len(asked)})
            output = "\n".join(f"{len(shown) + place}. {text}" for place, text in enumerate(asked, 1))
            row = {"id": f"list-{number}", "instruction": "", "output": output}
            yield {**row, "system": "", "user": message["content"]}


class Together(Step):
    """The rows of several steps, one after another."""

    parts: list[Any]
    """Steps that make rows with the same columns."""
    makes = "rows"

    def run(self, parts: list[Any]) -> Any:
        """Join them."""
        from datasets import concatenate_datasets

        return concatenate_datasets(parts)


answers = Answers(count=240_000)
proposals = Proposals(count=12_000)
chats = Together([answers, proposals])
tokenizer = TrainTokenizer(chats, prompt=CHAT, vocab_size=2048, whole=(STANDING,))

blank = RandomModel(tokenizer, hidden_size=192, layers=6, intermediate_size=512, heads=6, kv_heads=2)
teacher = HardLabel(
    chats, student=blank, prompt=CHAT, epochs=1, batch_size=64, learning_rate=2e-3, warmup=0.02, weight_decay=0.01
)

small = RandomModel(tokenizer, hidden_size=128, layers=4, intermediate_size=384, heads=4, kv_heads=2)
base = HardLabel(proposals, student=small, prompt=CHAT, epochs=1, batch_size=32, learning_rate=2e-3, warmup=0.05)

tests = {"grammar": Answers(count=1_000, seed=7, split="test"), "handwritten": LoadSeeds(home.FOLDER / "handwritten.jsonl", fields=("instruction", "output"))}
figures = Evaluate(teacher, tests, prompt=HOME)

pipeline = Pipeline("embedded-teacher", outputs={"teacher": teacher, "base": base, "figures": figures})
