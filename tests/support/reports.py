"""Reports as a run writes them, of made-up measurements: many models, many rows, hostile texts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluating import report_context
from potstill.engine.context import Ancestor
from potstill.metrics import kept_rows
from potstill.metrics.answers import packed, wilson
from potstill.steps import LoadRows
from potstill.steps.evaluation.class_rows import CLASS_COLUMNS, Answer, calibration
from potstill.steps.report import Report

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src="http://attacker.example/x.png" onerror="window.hacked = 1">',
    "![x](http://attacker.example/x.png) [y](javascript:window.hacked=1)",
    "</script><script>window.hacked = 1</script><!--",
    "\u202eright to left\u202c and half a character \ud800",
    "{{ 7 * 7 }} {% raw %} ${window.hacked = 1}",
    "megabyte " + "x" * 1_000_000,
)
"""What a model may write."""
WORDS = "the light in a kitchen was turned down by five percent before dinner and the music stopped at nine".split()


def classifiers(folder: Path, models: int, rows: int, classes: int = 12) -> Path:
    """Write the report of classifiers on made-up rows; returns its folder."""
    draw = random.Random(0)
    names = [f"intent {number}" for number in range(classes)]
    golds = [draw.choice(names) for _ in range(rows)]
    texts = [f"{' '.join(draw.choices(WORDS, k=9))} {number}" for number in range(rows)]
    for place, hostile in enumerate(HOSTILE[: max(0, rows - 3)]):
        texts[place + 2] = hostile
    lineage = [ancestor(folder, "data", "LoadRows", rows=rows, makes="rows", params={"seed": 0})]
    given: dict[str, Any] = {}
    for number in range(models):
        skill = 0.97 - 0.5 * number / max(1, models)
        answers = [
            Answer(gold if draw.random() < skill else draw.choice(names), round(draw.betavariate(6, 2), 4))
            for gold in golds
        ]
        name = "teacher" if number == 0 else f"student {number}"
        given[name] = measured(golds, answers, size=4e8 / (number + 1))
        lineage.append(ancestor(folder, name, "Classifier", {"rows": ["data"]}, makes="model", notes=curve(draw)))
        step = ancestor(folder, f"Evaluate({name})", "EvaluateClassifier", {"model": [name], "rows": ["data"]})
        kept = (
            {"id": str(place), "set": "test", "input": texts[place], "gold": gold, "answer": one.prediction}
            | {"probability": one.probability, "correct": one.prediction == gold}
            for place, (gold, one) in enumerate(zip(golds, answers, strict=True))
        )
        kept_rows.write(step.folder, CLASS_COLUMNS, kept)
        lineage.append(step)
    return written(folder / "report", given, lineage)


def measured(golds: Sequence[str], answers: Sequence[Answer], size: float) -> dict[str, Any]:
    """Return what an evaluation of a classifier returns."""
    right = [one.prediction == gold for one, gold in zip(answers, golds, strict=True)]
    share = wilson(sum(right), len(right))
    scores = {"n": len(right), "accuracy": share.value, "accuracy_low": share.low, "accuracy_high": share.high}
    scores |= {"macro_f1": share.value, "row_right": packed(right), "row_digest": "same", **calibration(answers, right)}
    return {
        "sets": {"test": scores},
        "rows_per_s": 4e10 / size,
        "weights_bytes": size,
        "parameters": int(size / 2),
        "nonzero_parameters": int(size / 2),
        "engine": {"seconds": len(right) * size / 4e10},
    }


def curve(draw: random.Random) -> dict[str, Any]:
    """Return the notes of a training."""
    losses = [{"step": step, "loss": 2 / step**0.4 + 0.1 * draw.random()} for step in range(1, 301)]
    evaluations = [{"step": step, "validation_loss": 2.1 / step**0.4} for step in (100, 200, 300)]
    return {"curve": losses, "evaluations": evaluations, "tokens_per_second": 1234.5, "target tokens": 98765}


def ancestor(
    folder: Path, name: str, kind: str, inputs: Mapping[str, Sequence[str]] | None = None, **manifest: Any
) -> Ancestor:
    """Return a step of the lineage, with a folder of its own."""
    given = {field: list(names) for field, names in (inputs or {}).items()}
    place = folder / "artifacts" / name
    place.mkdir(parents=True, exist_ok=True)
    whole = {
        "params": {},
        "rows": None,
        "seconds": 12.5,
        "counts": {},
        "makes": "metrics",
        "file": "../page.py",
        "host": {"name": "secret", "platform": "Linux", "cpus": 2},
        "versions": {"torch": "2.13.0"},
        "digests": {"": "d" * 64},
        "inputs": given,
        **manifest,
    }
    return Ancestor(name, kind, "k" * 64, tuple(one for names in given.values() for one in names), whole, place)


def written(out: Path, given: Mapping[str, Any], lineage: Sequence[Ancestor], **fields: Any) -> Path:
    """Write the report of what the steps `Evaluate(NAME)` returned."""
    context = report_context(out, [f"Evaluate({name})" for name in given], lineage)
    step = LoadRows([{"a": 1}])
    return Report(dict.fromkeys(given, step), **fields).run(dict(given), context)
