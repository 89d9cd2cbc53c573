"""The steps of clinc.py that are its own."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from potstill import Context, Metrics, Rows, RowsOutput, Step
from potstill.engine.encoding import File
from potstill.prompts import render

NAME = "Name the intent of this request: {{ text }}"
"""Prompt that asks for an intent."""
WRITE = "Write a request with this intent: {{ label | replace('_', ' ') }}"
"""Prompt that asks for an utterance. A teacher of this size loses the label in a longer prompt with examples: of what
it wrote so, it named 5 % as it was asked for."""


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
    seeds = RowsOutput()
    test = RowsOutput()

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
    """Chats (`user`, `output`) of both directions for each utterance: its intent is named, and it is written for it."""

    rows: Rows
    """`text` and `label`."""
    makes = "rows"

    def run(self, rows: Any) -> Iterator[dict[str, Any]]:
        """Yield the chats."""
        for row in rows:
            for kind, prompt, output in (("name", NAME, spoken(row["label"])), ("write", WRITE, row["text"])):
                yield {"id": f"{kind}-{row['id']}", "user": render(prompt, row)[0]["content"], "output": output}


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
        students = {name: {key: result["sets"]["test"][key] for key in names} for name, result in figures.items()}
        lineage = {ancestor.name: ancestor.manifest for ancestor in context.lineage}
        counts = {
            name: {key: lineage[name]["counts"][key] for key in ("kept", "filtered", "failed")} for name in self.filters
        }
        base = students[self.baseline]
        verdicts = {name: verdict(base, student) for name, student in students.items() if name != self.baseline}
        return {"students": students, "filters": counts, "conclusion": verdicts}


def verdict(base: Mapping[str, float], other: Mapping[str, float]) -> str:
    """Return how a student compares: apart only if the intervals are, stricter than a test of the difference."""
    points = 100 * (other["accuracy"] - base["accuracy"])
    apart = other["accuracy_low"] > base["accuracy_high"] or other["accuracy_high"] < base["accuracy_low"]
    return f"{points:+.1f} points; the 95 % intervals {'are apart' if apart else 'overlap'}"


def spoken(label: str) -> str:
    """Return an intent as the teacher writes it."""
    return label.replace("_", " ")


def agrees(row: Mapping[str, Any]) -> bool:
    """Return whether an utterance was named as it was asked for."""
    return bool(row["output"].strip() == spoken(row["label"]))
