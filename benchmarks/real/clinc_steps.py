"""The steps of clinc.py that are its own."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from potstill import Context, Metrics, Rows, Step
from potstill.keys import File
from potstill.prompts import render

NAME = "Name the intent of this request: {{ text }}"
"""Prompt that asks for an intent."""


class Clinc(Step):
    """CLINC150 (Larson et al. 2019) without its out-of-scope part: `seeds`, some an intent, and the `test` split."""

    path: File
    """data_full.json."""
    each: int
    """Seeds an intent: the first of them after a seeded shuffle of the training split."""
    intents: int = 150
    """The first so many intents by name; fewer than 150 for trials."""
    seed: int = 0
    """Of the shuffle."""
    makes = "rows"
    outputs = ("seeds", "test")

    def run(self) -> dict[str, Any]:
        """Return both."""
        splits = json.loads(Path(self.path).read_text(encoding="utf-8"))
        chosen = sorted({label for _, label in splits["train"]})[: self.intents]
        train = list(splits["train"])
        Random(self.seed).shuffle(train)
        by_label: defaultdict[str, list[str]] = defaultdict(list)
        for text, label in train:
            by_label[label].append(text)
        seeds = [(text, label) for label in chosen for text in by_label[label][: self.each]]
        test = [(text, label) for text, label in splits["test"] if label in set(chosen)]
        parts = {"seeds": seeds, "test": test}
        return {
            name: ({"id": f"{name}-{n}", "text": text, "label": label} for n, (text, label) in enumerate(rows))
            for name, rows in parts.items()
        }


class TwoTasks(Step):
    """Chats (`user`, `output`): lists of an intent's utterances that go on, and utterances with their intent."""

    rows: Rows
    """`text` and `label`."""
    lists: int
    """Lists, the same number for each intent."""
    shown: int
    """Utterances that a list's prompt shows."""
    asked: int
    """Utterances of the answer."""
    naming: int
    """Times that each utterance is named."""
    seed: int = 0
    """Of what is shown."""
    makes = "rows"

    def run(self, rows: Any) -> Iterator[dict[str, Any]]:
        """Yield the chats."""
        by_label: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_label[row["label"]].append(row["text"])
            for time in range(self.naming):
                user = render(NAME, row)[0]["content"]
                yield {"id": f"name-{row['id']}-{time}", "user": user, "output": spoken(row["label"])}
        for number in range(self.lists):
            label = sorted(by_label)[number % len(by_label)]
            drawn = Random(f"{self.seed}/{number}").sample(by_label[label], self.shown + self.asked)
            fields = {"label": label, "description": "", "examples": drawn[: self.shown], "count": self.asked}
            lines = [f"{place}. {text}" for place, text in enumerate(drawn[self.shown :], 1)]
            user = render("input_from_label.jinja", fields)[0]["content"]
            yield {"id": f"write-{number}", "user": user, "output": "\n".join(lines)}


class Comparison(Step):
    """The students' accuracies beside each other, what each filter took, and what follows."""

    figures: dict[str, Metrics]
    """`EvaluateClassifier` by student."""
    filters: tuple[str, ...]
    """Steps whose counts are told."""
    baseline: str = "seeds"
    """Student that the others are held against."""
    makes = "metrics"
    wants_lineage = True

    def run(self, figures: Mapping[str, dict[str, Any]], context: Context) -> dict[str, Any]:
        """Return the table."""
        names = ("n", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "worst")
        students = {name: {key: made["sets"]["test"][key] for key in names} for name, made in figures.items()}
        lineage = {ancestor.name: ancestor.manifest for ancestor in context.lineage}
        counts = {name: {key: lineage[name]["counts"][key] for key in ("kept", "filtered", "failed")}
                  for name in self.filters}  # fmt: skip
        base = students[self.baseline]
        verdicts = {name: verdict(base, student) for name, student in students.items() if name != self.baseline}
        return {"students": students, "filters": counts, "conclusion": verdicts}


def verdict(base: Mapping[str, float], other: Mapping[str, float]) -> str:
    """Say how a student compares: apart only if the intervals are, which is stricter than a test of the difference."""
    points = 100 * (other["accuracy"] - base["accuracy"])
    apart = other["accuracy_low"] > base["accuracy_high"] or other["accuracy_high"] < base["accuracy_low"]
    return f"{points:+.1f} points; the 95 % intervals {'are apart' if apart else 'overlap'}"


def spoken(label: str) -> str:
    """Return an intent as the teacher writes it."""
    return label.replace("_", " ")


def agrees(row: Mapping[str, Any]) -> bool:
    """Say whether an utterance was named as it was asked for."""
    return bool(row["output"].strip() == spoken(row["label"]))
